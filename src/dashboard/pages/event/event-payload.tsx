import { useState } from 'react';
import { CodeBlock } from '../../components/code-block.tsx';
import { indentJson } from '../../../client/raw-json.ts';
import { Switch } from '../../components/switch.tsx';
import { formatCount } from '../../format.ts';

/** The body of all attempts, formatted or exactly as sent. */
export function EventPayload({ body }: { body: string | null }) {
  const [isPretty, setPretty] = useState(true);
  return (
    <section className="card stack" aria-labelledby="payload">
      <div className="row spread">
        <h2 id="payload">Payload</h2>
        {body !== null && <Switch label="Formatted" isOn={isPretty} onChange={setPretty} />}
      </div>
      {body === null ? (
        <p className="muted">
          The payload was removed after its retention period. The deliveries are still listed.
        </p>
      ) : (
        <CodeBlock
          label={`${formatCount(new TextEncoder().encode(body).length)} bytes${isPretty ? ', formatted' : ', as sent and signed'}`}
          text={isPretty ? indentJson(body) : body}
        />
      )}
    </section>
  );
}
