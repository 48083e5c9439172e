import type { ReactNode } from 'react';
import type { Webhook } from '../../../contracts/webhook.ts';
import { formatCount } from '../../format.ts';
import { authTypes, rateText, retryText, shownAuthText } from '../../policy/policy-text.ts';

/** The facts of a webhook's policy; null where it is the default. */
export function policyFacts(webhook: Webhook): Record<string, ReactNode> {
  const { timeout_ms: timeout, headers, auth, rate_limit: rate, signatures } = webhook;
  const names = Object.keys(headers);
  return {
    Retries: retryText(webhook),
    'Time limit': timeout === null ? null : `${formatCount(timeout)} ms an attempt`,
    Headers:
      names.length === 0 ? null : (
        <>
          {names.map((name) => (
            <code key={name} className="event-name">
              {name}
            </code>
          ))}
          <span className="muted">values are not shown</span>
        </>
      ),
    Authentication: auth && (
      <>
        {authTypes[auth.type]} <span className="muted">{shownAuthText(auth)}</span>
      </>
    ),
    'Rate limit': rate && rateText(rate),
    'Requests at once': webhook.max_concurrent,
    Signatures: signatures.includes('v1a') ? signatures.join(', ') : null,
    'While down': webhook.probe_when_down ? 'Probed, one attempt at a time' : null,
  };
}
