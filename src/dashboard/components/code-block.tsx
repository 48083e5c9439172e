import { CopyButton } from './copy-button.tsx';

type Props = {
  text: string;
  label: string;
  /** The label in more words, where a page has it more than once. */
  name?: string;
};

/** Text as it is, such as a payload, with a button that copies it. */
export function CodeBlock({ text, label, name = label }: Props) {
  return (
    <figure className="code-block">
      <figcaption>
        <span>{label}</span>
        <CopyButton text={text} />
      </figcaption>
      {/* Long texts scroll: whoever uses a keyboard must be able to reach them. */}
      <section tabIndex={0} aria-label={name}>
        <pre>
          <code>{text}</code>
        </pre>
      </section>
    </figure>
  );
}
