import { CodeBlock } from '../../components/code-block.tsx';

/** A key that was just made: shown this one time. */
export function NewKey({ apiKey, onKept }: { apiKey: string; onKept: () => void }) {
  return (
    <div className="stack">
      <p className="notice notice-warn">
        Copy it now and keep it where secrets are kept: it is not shown again.
      </p>
      <CodeBlock label="API key" text={apiKey} />
      <CodeBlock
        label="Try it"
        text={`curl ${location.origin}/v1/event-types -H "Authorization: Bearer ${apiKey}"`}
      />
      <div className="dialog-actions">
        <button type="button" className="button button-primary" onClick={onKept}>
          I have kept it
        </button>
      </div>
    </div>
  );
}
