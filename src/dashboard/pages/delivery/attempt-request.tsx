import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { indentJson } from '../../../client/raw-json.ts';
import type { Attempt } from '../../../contracts/attempt-schema.ts';
import { textFor } from '../../../domain/body-formats.ts';
import { CodeBlock } from '../../components/code-block.tsx';
import { Switch } from '../../components/field.tsx';
import { SignatureNames } from '../../components/signature-names.tsx';
import { headersText } from '../../delivery-text.ts';
import { formatCount } from '../../format.ts';
import { sessionQuery } from '../../queries.ts';
import { CopyAsCurl } from './copy-as-curl.tsx';

type Props = {
  deliveryId: string;
  attempt: Attempt;
  /** The event's body: undefined while loading, null once it was removed. */
  body: string | null | undefined;
  hasWebhook: boolean;
};

/** The request of an attempt. */
export function AttemptRequest({ deliveryId, attempt: { number, request }, body, hasWebhook }: Props) {
  if (request.format === 'email') return <Email number={number} request={request} body={body} />;
  const obstacle = hasWebhook
    ? body === null
      ? 'The payload was removed: its retention period ended, or its event was expunged.'
      : undefined
    : 'The webhook was deleted, and its signing secret with it.';
  return (
    <section className="stack-small" aria-label={`Request of attempt ${number}`}>
      <div className="row spread">
        <h4>Request</h4>
        <CopyAsCurl deliveryId={deliveryId} number={number} obstacle={obstacle} />
      </div>
      <p>
        {request.method} <code className="break">{request.url}</code>
      </p>
      <RequestBody number={number} request={request} body={body} />
      <details>
        <summary>Request headers</summary>
        <CodeBlock
          label="Request headers"
          name={`Request headers of attempt ${number}`}
          text={headersText(request.headers)}
        />
        <p className="hint">
          The request also had <SignatureNames names={request.signature_headers} />, not stored.
        </p>
      </details>
    </section>
  );
}

function Email({ number, request, body }: BodyProps) {
  return (
    <section className="stack-small" aria-label={`E-mail of attempt ${number}`}>
      <h4>E-mail</h4>
      <p>
        To <code className="break">{request.headers['To']}</code>
      </p>
      <RequestBody number={number} request={request} body={body} />
    </section>
  );
}

type BodyProps = Pick<Attempt, 'number' | 'request'> & Pick<Props, 'body'>;

function RequestBody({ number, request, body }: BodyProps) {
  const [isFormatted, setFormatted] = useState(true);
  const { data: session } = useQuery(sessionQuery);
  const bytes = formatCount(request.body_bytes);
  if (body === null)
    return (
      <p className="muted">
        The body ({bytes} bytes) was removed: its retention period ended, or its event was expunged.
      </p>
    );
  const accountId = session?.account_id;
  const text = body && accountId && textFor(request.format, body, accountId, session.public_url);
  return (
    <>
      <CodeBlock
        label={`Request body, ${bytes} bytes`}
        name={`Request body of attempt ${number}`}
        text={text ? (isFormatted ? indentJson(text) : text) : '…'}
      />
      <Switch label="Formatted" isOn={isFormatted} onChange={setFormatted} />
    </>
  );
}
