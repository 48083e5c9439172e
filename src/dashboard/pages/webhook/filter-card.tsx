import type { WebhookFilter } from '../../../contracts/filter.ts';
import { CodeBlock } from '../../components/code-block.tsx';
import { Section } from '../../components/section.tsx';
import { FilterTrial } from './filter-trial.tsx';
import { filterText } from '../../policy/policy-text.ts';

type Props = { webhookId: string; filter: WebhookFilter; events: readonly string[] };

/** The filter in words, and whether an example would pass it. */
export function FilterCard({ webhookId, filter, events }: Props) {
  const text = filterText(filter);
  return (
    <Section title="Filter" className="card stack-small">
      {text === null ? (
        <CodeBlock label="As JSON" name="Filter as JSON" text={JSON.stringify(filter, null, 2)} />
      ) : (
        <div>
          <p>Gets an event of its types only if it meets {text.join}:</p>
          <ul className="conditions">
            {text.conditions.map((condition) => (
              <li key={condition}>
                <code>{condition}</code>
              </li>
            ))}
          </ul>
        </div>
      )}
      <details>
        <summary>Try it with an example</summary>
        <FilterTrial webhookId={webhookId} events={events} />
      </details>
    </Section>
  );
}
