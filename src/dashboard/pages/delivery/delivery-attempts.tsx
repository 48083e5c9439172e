import { useQuery } from '@tanstack/react-query';
import type { Attempt } from '../../../contracts/attempt-schema.ts';
import type { Delivery } from '../../../contracts/delivery.ts';
import { AttemptOutcome } from '../../components/attempt-outcome.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { indentJson } from '../../../client/raw-json.ts';
import { Section } from '../../components/section.tsx';
import { SignatureNames } from '../../components/signature-names.tsx';
import { At } from '../../components/time.tsx';
import { textFor } from '../../../domain/body-formats.ts';
import { headersText } from '../../delivery-text.ts';
import { formatCount } from '../../format.ts';
import { sessionQuery } from '../../queries.ts';

type Props = {
  delivery: Delivery;
  /** The event's body: undefined while loading, null after its retention. */
  body: string | null | undefined;
};

/** The attempts of a delivery, newest first, each with its request and response. */
export function DeliveryAttempts({ delivery: { attempts }, body }: Props) {
  return (
    <Section title="Attempts" className="stack">
      {attempts.length === 0 && <p className="muted">No attempts yet.</p>}
      {attempts.toReversed().map((attempt) => (
        <article key={attempt.id} className="card stack" id={`attempt-${attempt.number}`}>
          <h3>
            Attempt {attempt.number}{' '}
            <span className="muted small numeric">
              <At at={attempt.started_at} />
            </span>
          </h3>
          <div className="columns">
            <Request attempt={attempt} body={body} />
            <section aria-label={`Outcome of attempt ${attempt.number}`}>
              <AttemptOutcome attempt={attempt} />
            </section>
          </div>
        </article>
      ))}
    </Section>
  );
}

function Request({ attempt: { number, request }, body }: { attempt: Attempt; body: Props['body'] }) {
  const { url, format, body_bytes: bytes, signature_headers: signatures } = request;
  const { data: session } = useQuery(sessionQuery);
  const text = body && session && indentJson(textFor(format, body, session.account_id));
  return (
    <section className="stack" aria-label={`Request of attempt ${number}`}>
      <p>
        {request.method} <code className="break">{url}</code>
      </p>
      <CodeBlock
        label="Request headers"
        name={`Request headers of attempt ${number}`}
        text={headersText(request.headers)}
      />
      <p className="hint">
        The request also had <SignatureNames names={signatures} />, not stored.
      </p>
      {body === null ? (
        <p className="muted">The body ({formatCount(bytes)} bytes) was removed after its retention period.</p>
      ) : (
        <details>
          <summary>Request body</summary>
          <CodeBlock
            label={`Request body, ${formatCount(bytes)} bytes, formatted`}
            name={`Request body of attempt ${number}`}
            text={text ?? '…'}
          />
        </details>
      )}
    </section>
  );
}
