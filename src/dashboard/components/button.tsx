import { useState, type ComponentProps } from 'react';

type Props = Omit<ComponentProps<'button'>, 'className' | 'title'> & {
  look?: 'primary' | 'danger-solid' | 'small';
  /** Disables the button, with this as its tooltip. */
  disabledReason?: string | undefined;
};

export function Button({ look, disabledReason, disabled = false, ...rest }: Props) {
  return (
    <button
      type="button"
      className={look === undefined ? 'button' : `button button-${look}`}
      disabled={disabled || disabledReason !== undefined}
      title={disabledReason}
      {...rest}
    />
  );
}

/** Copies text and confirms it for two seconds. */
export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [feedback, setFeedback] = useState<string | null>(null);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setFeedback('Copied');
    } catch {
      setFeedback('Press Ctrl-C');
    }
    setTimeout(() => setFeedback(null), 2000);
  };
  return (
    <Button look="small" onClick={() => void copy()}>
      <span aria-live="polite">{feedback ?? label}</span>
    </Button>
  );
}
