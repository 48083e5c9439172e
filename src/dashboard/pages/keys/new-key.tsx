import { CodeBlock } from '../../components/code-block.tsx';

export function NewKey({ apiKey, onSaved }: { apiKey: string; onSaved: () => void }) {
  return (
    <div className="stack">
      <p className="notice notice-warn">Copy the key now and store it safely. It is not shown again.</p>
      <CodeBlock label="API key" text={apiKey} />
      <CodeBlock
        label="Try it"
        text={`curl ${location.origin}/v1/event-types -H "Authorization: Bearer ${apiKey}"`}
      />
      <div className="dialog-actions">
        <button type="button" className="button button-primary" onClick={onSaved}>
          I have saved it
        </button>
      </div>
    </div>
  );
}
