import type { DeliveryStatus } from '../../contracts/delivery.ts';
import type { Webhook } from '../../contracts/webhook.ts';
import { standingOf } from '../webhook-state.ts';

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

const toneOfStanding = {
  'disabled automatically': 'bad',
  paused: 'idle',
  'active, failing': 'warn',
  active: 'good',
} as const;

type WebhookBadgeProps = {
  webhook: Pick<Webhook, 'active' | 'auto_disabled' | 'warning'>;
  /** What it was sent in the last 24 hours; undefined: not known yet. */
  hourly: Parameters<typeof standingOf>[1];
};

/** Active, failing, paused by hand, or disabled automatically. */
export function WebhookBadge({ webhook, hourly }: WebhookBadgeProps) {
  const standing = standingOf(webhook, hourly);
  return <Badge tone={toneOfStanding[standing]}>{standing}</Badge>;
}
