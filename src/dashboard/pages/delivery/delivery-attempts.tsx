import { useCallback, useState } from 'react';
import type { Attempt } from '../../../contracts/attempt-schema.ts';
import type { Delivery } from '../../../contracts/delivery.ts';
import { AttemptResponse, AttemptResult } from '../../components/attempt-outcome.tsx';
import { Section } from '../../components/section.tsx';
import { At } from '../../components/time.tsx';
import { offsetText } from '../../durations.ts';
import { AttemptRequest } from './attempt-request.tsx';

type Props = {
  delivery: Delivery;
  /** The event's body: undefined while loading, null once it was removed. */
  body: string | null | undefined;
  hasWebhook: boolean;
};

const idOf = (number: number): string => `attempt-${number}`;

/** The attempts of a delivery, newest first, each with its response and request. Earlier ones are folded. */
export function DeliveryAttempts({ delivery, ...rest }: Props) {
  const { attempts } = delivery;
  return (
    <Section title="Attempts" className="stack">
      {attempts.length === 0 && <p className="muted">No attempts yet.</p>}
      {attempts.toReversed().map((attempt, index) => (
        <AttemptCard
          key={attempt.id}
          delivery={delivery}
          attempt={attempt}
          isLatest={index === 0}
          {...rest}
        />
      ))}
    </Section>
  );
}

type CardProps = Props & { attempt: Attempt; isLatest: boolean };

function AttemptCard({ delivery, attempt, isLatest, ...rest }: CardProps) {
  const { number, started_at: startedAt } = attempt;
  // Open parts stay open when another attempt follows: nothing moves while somebody reads.
  const [isLinked] = useState(location.hash === `#${idOf(number)}`);
  const [isOpen] = useState(isLatest || isLinked);
  // It came after the page, so the browser did not scroll to it.
  const scrollToIt = useCallback((card: HTMLElement | null) => card?.scrollIntoView(), []);
  return (
    <details className="card attempt" id={idOf(number)} open={isOpen} ref={isLinked ? scrollToIt : undefined}>
      <summary>
        <h3>Attempt {number}</h3>
        <span className="row numeric">
          <AttemptResult attempt={attempt} />
          <span className="muted">{offsetText(delivery.created_at, startedAt)}</span>
        </span>
      </summary>
      <div className="columns">
        <section className="stack-small" aria-label={`Outcome of attempt ${number}`}>
          <h4>Response</h4>
          <AttemptResponse attempt={attempt} />
          <p className="hint">
            The request was sent <At at={startedAt} />.
          </p>
        </section>
        <AttemptRequest deliveryId={delivery.id} attempt={attempt} {...rest} />
      </div>
    </details>
  );
}

/** A link to an attempt on the page, which unfolds it. */
export function AttemptLink({ number }: { number: number }) {
  const unfold = () => {
    const card = document.getElementById(idOf(number));
    if (card instanceof HTMLDetailsElement) card.open = true;
  };
  return (
    <a href={`#${idOf(number)}`} onClick={unfold}>
      Attempt {number}
    </a>
  );
}
