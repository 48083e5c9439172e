import { Tabs } from '@base-ui/react/tabs';
import { CodeBlock } from './code-block.tsx';

type Props = { label: string; snippets: readonly { language: string; text: string }[] };

/** The same in several languages, one of which is shown. */
export function Snippets({ label, snippets }: Props) {
  return (
    <Tabs.Root defaultValue={snippets[0]?.language} className="snippets">
      <Tabs.List className="snippet-tabs" aria-label={`Language: ${label}`}>
        {snippets.map(({ language }) => (
          <Tabs.Tab key={language} value={language} className="snippet-tab">
            {language}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {snippets.map(({ language, text }) => (
        <Tabs.Panel key={language} value={language} tabIndex={-1}>
          <CodeBlock label={language} name={`${label}: ${language}`} text={text} />
        </Tabs.Panel>
      ))}
    </Tabs.Root>
  );
}
