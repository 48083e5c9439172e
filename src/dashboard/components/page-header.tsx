import { useEffect, type ReactNode } from 'react';

type Props = {
  title: string;
  /** A line above it: where one is. */
  eyebrow?: ReactNode;
  /** A line below it. */
  subtitle?: ReactNode;
  actions?: ReactNode;
};

/** A page's only h1; it names the browser's tab too. */
export function PageHeader({ title, eyebrow, subtitle, actions }: Props) {
  useEffect(() => {
    document.title = `${title} · FLTR webhooks`;
  }, [title]);
  return (
    <header className="page-header">
      <div className="page-header-text">
        {eyebrow && <p className="eyebrow">{eyebrow}</p>}
        <h1>{title}</h1>
        {subtitle && <div className="subtitle">{subtitle}</div>}
      </div>
      {actions && <div className="actions">{actions}</div>}
    </header>
  );
}
