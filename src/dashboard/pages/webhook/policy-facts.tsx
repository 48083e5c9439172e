import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { Webhook } from '../../../contracts/webhook.ts';
import { CopyButton } from '../../components/button.tsx';
import { formatCount } from '../../format.ts';
import { webhookPublicKeyQuery } from '../../queries.ts';
import { authTypes, orderTexts, rateText, retryText, shownAuthText } from '../../policy/policy-text.ts';

/** The facts of a webhook's policy; null where it is the default. */
export function policyFacts(webhook: Webhook): Record<string, ReactNode> {
  const { webhook_id: id, timeout_ms: timeout, headers, auth, rate_limit: rate, signatures } = webhook;
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
        {authTypes[auth.type]}
        <div className="muted">{shownAuthText(auth)}</div>
        <div className="muted">secret values are not shown</div>
      </>
    ),
    'Rate limit': rate && rateText(rate),
    'Requests at once': webhook.max_concurrent,
    Signatures: signatures.includes('v1a') ? <PublicKey id={id} versions={signatures} /> : null,
    'While down': webhook.probe_when_down ? 'Probed, one attempt at a time' : null,
    Order: webhook.ordering && (
      <>
        {orderTexts[webhook.ordering]}{' '}
        {webhook.on_failure === 'block' && (
          <span className="muted">a failed delivery blocks those behind it</span>
        )}
      </>
    ),
  };
}

const versionTexts = { v1: 'v1 (HMAC)', v1a: 'v1a (ed25519)' } as const;

type PublicKeyProps = { id: string; versions: Webhook['signatures'] };

/** The versions, and the key with which a receiver verifies `v1a`. It is public. */
function PublicKey({ id, versions }: PublicKeyProps) {
  const { data } = useQuery(webhookPublicKeyQuery(id));
  return (
    <>
      {versions.map((version) => versionTexts[version]).join(' and ')}. Public key:{' '}
      <code className="break">{data?.public_key ?? '…'}</code>{' '}
      {data && <CopyButton text={data.public_key} label="Copy public key" />}
      {data?.previous_public_key && (
        <div className="muted">
          During the overlap also <code className="break">{data.previous_public_key}</code>
        </div>
      )}
    </>
  );
}
