import { useEffect, useRef } from 'react';
import { Button } from '../../components/button.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { Section } from '../../components/section.tsx';
import { TestEvent } from '../../components/test-event.tsx';

const verifyLines = `import { createHmac, timingSafeEqual } from 'node:crypto';

const digest = createHmac('sha256', process.env.WEBHOOK_SECRET).update(rawBody).digest('hex');
const [received, expected] = [request.headers['x-fltr-signature'] ?? '', digest].map((text) => Buffer.from(text));
const isGenuine = received.length === expected.length && timingSafeEqual(received, expected);`;

type Props = { webhookId: string; events: readonly string[]; secret: string; onSaved: () => void };

/** Shown after a webhook was created: its secret, how to verify with it, and a test event. */
export function NewSecretCard({ webhookId, events, secret, onSaved }: Props) {
  const section = useRef<HTMLElement>(null);
  // The button that had the focus was removed.
  useEffect(() => section.current?.focus(), []);
  return (
    <>
      <Section
        ref={section}
        tabIndex={-1}
        className="card stack-small"
        title="Webhook created: save its secret"
      >
        <p>
          Store it where your receiver reads it, such as <code>WEBHOOK_SECRET</code>. It is shown once here.
          You can reveal it again below; each reveal is recorded in the audit log.
        </p>
        <CodeBlock label="Secret" text={secret} />
        <details>
          <summary>Verify a request with it</summary>
          <div className="stack-small">
            <CodeBlock label="Node.js: is the request genuine?" text={verifyLines} />
            <p className="muted">
              <code>rawBody</code> is the body as received, unparsed. The guide <code>docs/receiving.md</code>{' '}
              has complete receivers in Python, Node.js and Go. See also the <a href="/docs">API reference</a>
              .
            </p>
          </div>
        </details>
        <div>
          <Button look="primary" onClick={onSaved}>
            I have saved it
          </Button>
        </div>
      </Section>
      <Section title="Try it">
        <TestEvent webhookId={webhookId} events={events} />
      </Section>
    </>
  );
}
