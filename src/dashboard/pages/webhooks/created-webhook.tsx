import { Link } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { CodeBlock } from '../../components/code-block.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { TestEvent } from '../../components/test-event.tsx';
import { withoutScheme } from '../../format.ts';

const verifyLines = `import { createHmac, timingSafeEqual } from 'node:crypto';

const digest = createHmac('sha256', process.env.WEBHOOK_SECRET).update(rawBody).digest('hex');
const [given, expected] = [request.headers['x-fltr-signature'] ?? '', digest].map((text) => Buffer.from(text));
const isGenuine = given.length === expected.length && timingSafeEqual(given, expected);`;

type Props = { webhook: { webhook_id: string; url: string; events: string[]; secret: string } };

/** After creating: the secret, how to use it, and a first request to try it with. */
export function CreatedWebhook({ webhook: { webhook_id: id, url, events, secret } }: Props) {
  const section = useRef<HTMLElement>(null);
  // The button that had the focus is gone.
  useEffect(() => section.current?.focus(), []);
  return (
    <>
      <PageHeader
        eyebrow={
          <>
            Settings / <Link to="/webhooks">Webhooks</Link>
          </>
        }
        title="Webhook created"
        subtitle={<span className="break">{withoutScheme(url)}</span>}
      />
      <div className="stack narrow">
        <section ref={section} tabIndex={-1} className="card stack-small" aria-labelledby="secret-title">
          <h2 id="secret-title">Its secret</h2>
          <p>
            Keep it where your receiver reads it, such as <code>WEBHOOK_SECRET</code>. It is shown here once;
            later only by “Reveal secret” on the webhook&apos;s page, which is recorded.
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
          <p>
            <Link to="/webhooks/$id" params={{ id }} className="button button-primary">
              I have kept it
            </Link>
          </p>
        </section>
        <section className="card" aria-labelledby="test-title">
          <h2 id="test-title">Try it</h2>
          <TestEvent webhookId={id} events={events} />
        </section>
      </div>
    </>
  );
}
