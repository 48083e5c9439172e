import { useState } from 'react';
import { CodeBlock } from '../../components/code-block.tsx';
import { indentJson } from '../../../client/raw-json.ts';
import { Switch } from '../../components/switch.tsx';
import { formatCount } from '../../format.ts';

/** The body that every attempt sends: the bytes as they are, or set out for reading. */
export function Payload({ body }: { body: string | null }) {
  const [isPretty, setPretty] = useState(true);
  return (
    <section className="card stack" aria-labelledby="payload">
      <div className="row spread">
        <h2 id="payload">Payload</h2>
        {body !== null && <Switch label="Set out for reading" isOn={isPretty} onChange={setPretty} />}
      </div>
      {body === null ? (
        <p className="muted">
          It is past its retention and was removed. What became of its deliveries is still known.
        </p>
      ) : (
        <CodeBlock
          label={`${formatCount(new TextEncoder().encode(body).length)} bytes${isPretty ? ', set out for reading' : ', as they are sent and signed'}`}
          text={isPretty ? indentJson(body) : body}
        />
      )}
    </section>
  );
}
