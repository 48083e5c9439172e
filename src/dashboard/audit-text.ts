import type { AuditAction, AuditRecord } from '../contracts/audit.ts';

/** The kind of an action's target, for its link. */
type TargetKind = 'webhook' | 'event' | 'operation' | 'key' | 'other';

type Words = { verb: string; kind: TargetKind };

/** The words between the actor and the target. */
const words: Record<AuditAction, Words> = {
  'webhook.created': { verb: 'created the webhook', kind: 'webhook' },
  'webhook.updated': { verb: 'changed the webhook', kind: 'webhook' },
  'webhook.deleted': { verb: 'deleted the webhook', kind: 'webhook' },
  'webhook.paused': { verb: 'paused the webhook', kind: 'webhook' },
  'webhook.resumed': { verb: 'resumed the webhook', kind: 'webhook' },
  'webhook.disabled': { verb: 'disabled the webhook', kind: 'webhook' },
  'webhook.secret_read': { verb: 'revealed the secret of the webhook', kind: 'webhook' },
  'webhook.secret_rotated': { verb: 'rotated the secret of the webhook', kind: 'webhook' },
  'webhook.secret_overlap_ended': { verb: 'ended the previous secret of the webhook', kind: 'webhook' },
  'recovery.created': { verb: 'started the recovery', kind: 'operation' },
  'recovery.paused': { verb: 'paused the recovery', kind: 'operation' },
  'recovery.resumed': { verb: 'resumed the recovery', kind: 'operation' },
  'recovery.canceled': { verb: 'canceled the recovery', kind: 'operation' },
  'operation.created': { verb: 'started the operation', kind: 'operation' },
  'operation.paused': { verb: 'paused the operation', kind: 'operation' },
  'operation.resumed': { verb: 'resumed the operation', kind: 'operation' },
  'operation.canceled': { verb: 'canceled the operation', kind: 'operation' },
  'key.created': { verb: 'created the API key', kind: 'key' },
  'key.revoked': { verb: 'revoked the API key', kind: 'key' },
  'event.expunged': { verb: 'expunged the event', kind: 'event' },
  'attempt.request_signed': { verb: 'signed a request of the attempt', kind: 'other' },
  'sign_in_link.created': { verb: 'created a sign-in link for the API key', kind: 'key' },
  'portal_link.created': { verb: 'created the portal link', kind: 'other' },
  'portal_link.opened': { verb: 'opened the portal link', kind: 'other' },
  'portal_link.ended': { verb: 'ended the portal link', kind: 'other' },
  'account.created': { verb: 'created the account', kind: 'other' },
  'account.updated': { verb: 'changed the account', kind: 'other' },
  'account.deleted': { verb: 'requested the deletion of the account', kind: 'other' },
  'account.erased': { verb: 'erased the account', kind: 'other' },
  'event_type.put': { verb: 'saved the event type', kind: 'other' },
  'event_type.deleted': { verb: 'deleted the event type', kind: 'other' },
  'encryption_keys.reencrypted': { verb: 'encrypted all secrets with the key', kind: 'other' },
};

/** Why the service itself did it. */
const causes: Record<string, string> = {
  'auto-disable': 'because too many deliveries failed',
  gone: 'because the endpoint returned 410 (Gone)',
  pause: 'at the end of its pause',
};

function actorText({ type, id, name }: AuditRecord['actor']): string {
  switch (type) {
    case 'key':
      return name === null ? `Key ${id}` : `Key “${name}”`;
    case 'service_key':
      return name === null ? 'A service key' : `Service key “${name}”`;
    case 'portal_link':
      return 'A portal session';
    case 'command_line':
      return 'The command line';
    case 'service':
      return 'The service';
  }
}

export type AuditSentence = { actor: string; verb: string; kind: TargetKind; end: string };

/**
 * A record in words, around the name of its target.
 *
 * @example sentenceOf(record) // { actor: 'Key “Ops”', verb: 'changed the webhook', kind: 'webhook', end: ': url, events' }
 */
export function sentenceOf({ action, actor, fields }: AuditRecord): AuditSentence {
  const { verb, kind } = (words as Partial<Record<string, Words>>)[action] ?? { verb: action, kind: 'other' };
  const cause = actor.type === 'service' ? causes[actor.id] : undefined;
  const ends = [cause === undefined ? '' : ` ${cause}`, fields.length === 0 ? '' : `: ${fields.join(', ')}`];
  return { actor: actorText(actor), verb, kind, end: ends.join('') };
}

/** The filter by action. */
export const auditFilters = [
  ['', 'All'],
  ['webhook.*', 'Webhooks'],
  ['webhook.secret_read', 'Secrets revealed'],
  ['webhook.secret_rotated', 'Secrets rotated'],
  ['operation.*', 'Operations'],
  ['recovery.*', 'Recoveries'],
  ['event.*', 'Events expunged'],
  ['key.*', 'API keys'],
  ['portal_link.*', 'Portal links'],
  ['account.*', 'Account'],
] as const;
