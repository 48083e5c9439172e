import type { DeliveryStatus } from '../../contracts/delivery.ts';
import type { Webhook } from '../../contracts/webhook.ts';

type Tone = 'good' | 'bad' | 'busy' | 'idle' | 'warn';

export const toneOfDelivery: Record<DeliveryStatus, Tone> = {
  pending: 'busy',
  retrying: 'warn',
  delivered: 'good',
  failed: 'bad',
  held: 'idle',
  canceled: 'idle',
};

export function Badge({ tone, children }: { tone: Tone; children: string }) {
  return <span className={`badge badge-${tone}`}>{children}</span>;
}

/** A delivery's status, in the contract's word. */
export function DeliveryBadge({ status }: { status: DeliveryStatus }) {
  return <Badge tone={toneOfDelivery[status]}>{status}</Badge>;
}

/** Active, paused by hand, or disabled automatically. */
export function WebhookBadge({
  webhook,
}: {
  webhook: Pick<Webhook, 'active' | 'auto_disabled' | 'warning'>;
}) {
  if (webhook.auto_disabled) return <Badge tone="bad">disabled automatically</Badge>;
  if (!webhook.active) return <Badge tone="idle">paused</Badge>;
  return webhook.warning ? <Badge tone="warn">active, failing</Badge> : <Badge tone="good">active</Badge>;
}
