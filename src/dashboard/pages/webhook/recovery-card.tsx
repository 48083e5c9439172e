import { getRouteApi } from '@tanstack/react-router';
import type { Webhook } from '../../../contracts/webhook.ts';
import { RecoverForm } from './recover-form.tsx';
import { RecoveryProgress } from './recovery-progress.tsx';

const route = getRouteApi('/signed-in/webhooks/$id');

/** Resends failed or missed deliveries: first a preview, then the progress of the recovery. */
export function RecoveryCard({ webhook }: { webhook: Webhook }) {
  const { recovery } = route.useSearch();
  const navigate = route.useNavigate();
  const show = (id: string | undefined) =>
    void navigate({ search: id === undefined ? {} : { recovery: id }, replace: true, resetScroll: false });
  return (
    <section className="card stack-small" aria-labelledby="recover-title">
      <h2 id="recover-title">Recover</h2>
      {recovery === undefined ? (
        <RecoverForm webhook={webhook} onStarted={({ id }) => show(id)} />
      ) : (
        <RecoveryProgress id={recovery} onLeave={() => show(undefined)} />
      )}
    </section>
  );
}
