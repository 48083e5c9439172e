import { useEffect, useRef } from 'react';
import type { Settings } from '../../../contracts/settings.ts';
import { Button } from '../../components/button.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { Section } from '../../components/section.tsx';
import { TestEvent } from '../../components/test-event.tsx';
import { isPortal } from '../../portal.ts';
import { useShownSettings } from '../../shown-settings.ts';

const verifyBody = (prefix: string) => `import { createHmac, timingSafeEqual } from 'node:crypto';

const digest = createHmac('sha256', process.env.WEBHOOK_SECRET).update(rawBody).digest('hex');
const [received, expected] = [request.headers['${prefix.toLowerCase()}signature'] ?? '', digest].map((text) => Buffer.from(text));
const isGenuine = received.length === expected.length && timingSafeEqual(received, expected);`;

const verifyStandard = `import { Webhook } from 'standardwebhooks';

// Throws unless the request is genuine.
new Webhook(process.env.WEBHOOK_SECRET).verify(rawBody, request.headers);`;

const verifyLines = ({
  signatures,
  header_prefix: prefix,
}: Pick<Settings, 'signatures' | 'header_prefix'>): string =>
  signatures.includes('fltr') ? verifyBody(prefix) : verifyStandard;

type Props = { webhookId: string; events: readonly string[]; secret: string; onSaved: () => void };

/** Shown after a webhook was created: its secret, how to verify with it, and a test event. */
export function NewSecretCard({ webhookId, events, secret, onSaved }: Props) {
  const section = useRef<HTMLElement>(null);
  const settings = useShownSettings();
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
        <CodeBlock label="Secret" name="New secret" text={secret} />
        <details>
          <summary>Verify a request with it</summary>
          <div className="stack-small">
            <CodeBlock
              label="Node.js: is the request genuine?"
              text={settings ? verifyLines(settings) : '…'}
            />
            <p className="muted">
              <code>rawBody</code> is the body as received, unparsed. The guide <code>docs/receiving.md</code>{' '}
              has complete receivers in Python, Node.js and Go.{' '}
              {!isPortal && (
                <>
                  See also the <a href="/docs">API reference</a>.
                </>
              )}
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
