import { useEffect, type ReactNode } from 'react';

type Props = {
  title: string;
  /** A line above the title, such as a link to the parent page. */
  eyebrow?: ReactNode;
  subtitle?: ReactNode;
  actions?: ReactNode;
};

/** The page's h1; also sets the document title. */
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
