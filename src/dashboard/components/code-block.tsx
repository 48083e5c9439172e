import { CopyButton } from './button.tsx';

type Props = {
  text: string;
  label: string;
  /** An accessible name, where the label is not unique on the page. */
  name?: string;
};

/** Preformatted text with a copy button. */
export function CodeBlock({ text, label, name = label }: Props) {
  return (
    <figure className="code-block">
      <figcaption>
        <span>{label}</span>
        <CopyButton text={text} />
      </figcaption>
      {/* Focusable, so that long text can be scrolled with the keyboard. */}
      <section tabIndex={0} aria-label={name}>
        <pre>
          <code>{text}</code>
        </pre>
      </section>
    </figure>
  );
}
