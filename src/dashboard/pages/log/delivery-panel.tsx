import { Link } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import type { DeliverySummary as Row } from '../../../contracts/delivery.ts';
import { DeliveryBadge } from '../../components/badges.tsx';
import { Button } from '../../components/button.tsx';
import { isMissing } from '../../components/page-error.tsx';
import { Placeholder } from '../../components/page-header.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { DeliveryActions } from '../delivery/delivery-actions.tsx';
import { DeliveryAttempts } from '../delivery/delivery-attempts.tsx';
import { DeliverySummary } from '../delivery/delivery-summary.tsx';
import { DeliveryTimeline } from '../delivery/delivery-timeline.tsx';
import { useDelivery } from '../delivery/use-delivery.ts';

type Props = {
  id: string;
  /** Undefined if it is not among the loaded rows. */
  row: Row | undefined;
  close: () => void;
  /** Undefined at the ends of the list. */
  previous: (() => void) | undefined;
  next: (() => void) | undefined;
};

/** A delivery beside the list. The data of its row is shown at once; the rest follows. */
export function DeliveryPanel({ id, row, close, previous, next }: Props) {
  const loadedId = useDebounced(id);
  const { delivery, body, obstacle, hasWebhook, error } = useDelivery(loadedId);
  const shown = delivery?.id === id ? delivery : undefined;
  const about = shown ?? row;
  return (
    <section className="panel" aria-label="Delivery details" tabIndex={-1}>
      <header className="panel-header">
        <h2 className="break">{about?.event ?? 'Delivery'}</h2>
        <div className="row panel-buttons">
          <Button look="small" aria-label="Previous delivery" disabled={!previous} onClick={previous}>
            ↑
          </Button>
          <Button look="small" aria-label="Next delivery" disabled={!next} onClick={next}>
            ↓
          </Button>
          <Link to="/log/$id" params={{ id }} className="button button-small">
            Open page
          </Link>
          <button type="button" className="icon-button" aria-label="Close" onClick={close}>
            ×
          </button>
        </div>
        <p className="row panel-id">
          <code>{id}</code>
          {about && <DeliveryBadge status={about.status} />}
        </p>
      </header>
      <p className="hint panel-keys">
        ↑ ↓ next delivery · → into this panel · Enter opens the page · Esc closes
      </p>
      {/* Anew for each delivery: it begins at the top. */}
      <div key={id} className="panel-body stack">
        {loadedId === id && error && (
          <Problem error={isMissing(error) ? new Error('Delivery not found.') : error} />
        )}
        {shown ? (
          <>
            <DeliverySummary delivery={shown} obstacle={obstacle} hasWebhook={hasWebhook} />
            <div className="actions">
              <DeliveryActions delivery={shown} obstacle={obstacle} />
            </div>
            <DeliveryAttempts delivery={shown} body={body} hasWebhook={hasWebhook} />
            <DeliveryTimeline delivery={shown} />
          </>
        ) : (
          error === null && <Placeholder />
        )}
      </div>
    </section>
  );
}

const quickMs = 200;

/** The value once it rests: while an arrow key is held down, nothing is loaded. A single change counts at once. */
function useDebounced(value: string): string {
  const [debounced, setDebounced] = useState(value);
  const changedAt = useRef(0);
  useEffect(() => {
    const isQuick = performance.now() - changedAt.current < quickMs;
    changedAt.current = performance.now();
    const timer = setTimeout(() => setDebounced(value), isQuick ? quickMs : 0);
    return () => clearTimeout(timer);
  }, [value]);
  return debounced;
}
