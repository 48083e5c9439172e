import type { Attempt } from '../../contracts/attempt-schema.ts';
import { attemptText, headersText } from '../delivery-text.ts';
import { formatMs } from '../format.ts';
import { CodeBlock } from './code-block.tsx';
import { indentJson } from '../../client/raw-json.ts';
import { Badge } from './badges.tsx';

/** The outcome of one attempt: the response as received, or the error. */
export function AttemptOutcome({ attempt }: { attempt: Attempt }) {
  return (
    <div className="stack-small">
      <p className="row numeric">
        <AttemptResult attempt={attempt} />
      </p>
      <AttemptResponse attempt={attempt} />
    </div>
  );
}

/** In one line. */
export function AttemptResult({ attempt }: { attempt: Attempt }) {
  const isDelivered = attempt.outcome === 'delivered';
  return (
    <>
      <Badge tone={isDelivered ? 'good' : 'bad'}>{isDelivered ? 'delivered' : 'failed'}</Badge>
      <span>{attemptText(attempt)}</span>
      <span>{formatMs(attempt.duration_ms)}</span>
    </>
  );
}

export function AttemptResponse({ attempt: { error, response, number } }: { attempt: Attempt }) {
  return (
    <>
      {error && (
        <p className="notice notice-danger">
          {error.message} <span className="muted small">({error.code})</span>
        </p>
      )}
      {response && <Response response={response} number={number} />}
    </>
  );
}

type ResponseProps = { response: NonNullable<Attempt['response']>; number: number };

function Response({ response, number }: ResponseProps) {
  return (
    <>
      {response.body === '' ? (
        <p className="muted">The response has no body.</p>
      ) : (
        <CodeBlock
          name={`Response body of attempt ${number}`}
          label={response.truncated ? 'Response body (truncated)' : 'Response body'}
          text={indentJson(response.body)}
        />
      )}
      <details>
        <summary>Response headers</summary>
        <CodeBlock
          name={`Response headers of attempt ${number}`}
          label="Response headers"
          text={headersText(response.headers)}
        />
      </details>
    </>
  );
}
