import { useEffect, useRef } from 'react';
import { CodeBlock } from '../../components/code-block.tsx';
import { TestEvent } from '../../components/test-event.tsx';

const verifyLines = `import { createHmac, timingSafeEqual } from 'node:crypto';

const digest = createHmac('sha256', process.env.WEBHOOK_SECRET).update(rawBody).digest('hex');
const [given, expected] = [request.headers['x-fltr-signature'] ?? '', digest].map((text) => Buffer.from(text));
const isGenuine = given.length === expected.length && timingSafeEqual(given, expected);`;

type Props = { webhookId: string; events: readonly string[]; secret: string; onKept: () => void };

/** A webhook was just created: its secret, how to use it, and a first request to try it with. */
export function NewSecret({ webhookId, events, secret, onKept }: Props) {
  const section = useRef<HTMLElement>(null);
  // The button that had the focus is gone.
  useEffect(() => section.current?.focus(), []);
  return (
    <>
      <section ref={section} tabIndex={-1} className="card stack-small" aria-labelledby="new-secret-title">
        <h2 id="new-secret-title">Webhook created: its secret</h2>
        <p>
          Keep it where your receiver reads it, such as <code>WEBHOOK_SECRET</code>. It is shown here once;
          later only by “Reveal secret” below, which is recorded.
        </p>
        <CodeBlock label="Secret" text={secret} />
        <details>
          <summary>Verify a request with it</summary>
          <div className="stack-small">
            <CodeBlock label="Node.js: is the request genuine?" text={verifyLines} />
            <p className="muted">
              <code>rawBody</code> is the body&apos;s bytes as they came. The guide{' '}
              <code>docs/receiving.md</code> has whole receivers in Python, Node.js and Go; every call is in
              the <a href="/docs">API reference</a>.
            </p>
          </div>
        </details>
        <div>
          <button type="button" className="button button-primary" onClick={onKept}>
            I have kept it
          </button>
        </div>
      </section>
      <section className="card" aria-labelledby="test-title">
        <h2 id="test-title">Try it</h2>
        <TestEvent webhookId={webhookId} events={events} />
      </section>
    </>
  );
}
