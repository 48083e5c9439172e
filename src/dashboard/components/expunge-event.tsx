import { isPortal } from '../portal.ts';
import { deliveryKeys } from '../queries.ts';
import { api } from '../session-api.ts';
import { ConfirmButton } from './dialog.tsx';

/** Not in the portal, whose sessions may not expunge. */
export function ExpungeEvent({ id }: { id: string }) {
  if (isPortal) return null;
  return (
    <ConfirmButton
      label="Expunge event"
      title="Expunge this event?"
      action="Expunge permanently"
      isDanger
      run={() => api.expungeEvents([id])}
      done="The event was expunged"
      changes={deliveryKeys}
    >
      <p>
        <code className="break">{id}</code>
      </p>
      <p>
        Its data and labels are erased, and the stored responses of all its deliveries. Waiting deliveries are
        canceled. The event and its deliveries stay in the lists, without their data. This cannot be undone.
      </p>
    </ConfirmButton>
  );
}
