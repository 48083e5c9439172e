import type { Attempt } from '../../contracts/attempt.ts';
import { attemptInWords } from '../delivery-text.ts';
import { formatMs } from '../format.ts';
import { CodeBlock } from './code-block.tsx';
import { indentJson } from '../../client/raw-json.ts';
import { Badge } from './badges.tsx';

/** What came of one attempt: the answer as it came, or what stood in its way, in words. */
export function AttemptOutcome({ attempt }: { attempt: Attempt }) {
  const { duration_ms: durationMs, outcome, error, response } = attempt;
  const isDelivered = outcome === 'delivered';
  return (
    <div className="stack-small">
      <p className="row numeric">
        <Badge tone={isDelivered ? 'good' : 'bad'}>{isDelivered ? 'delivered' : 'not delivered'}</Badge>
        <span>{attemptInWords(attempt)}</span>
        <span>{formatMs(durationMs)}</span>
      </p>
      {error && (
        <p className="notice notice-danger">
          {error.message} <span className="muted small">({error.code})</span>
        </p>
      )}
      {response && <Answer response={response} number={attempt.number} />}
    </div>
  );
}

type AnswerProps = { response: NonNullable<Attempt['response']>; number: number };

function Answer({ response, number }: AnswerProps) {
  const headers = Object.entries(response.headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');
  return (
    <>
      {response.body === '' ? (
        <p className="muted">The answer has no body.</p>
      ) : (
        <CodeBlock
          name={`The body of the answer to attempt ${number}`}
          label={response.truncated ? "The answer's body, cut" : "The answer's body"}
          text={indentJson(response.body)}
        />
      )}
      <details>
        <summary>The answer&apos;s headers</summary>
        <CodeBlock
          name={`The headers of the answer to attempt ${number}`}
          label="The answer's headers"
          text={headers}
        />
      </details>
    </>
  );
}
