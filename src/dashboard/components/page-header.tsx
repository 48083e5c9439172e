import { useEffect, type ReactNode } from 'react';
import { productName } from '../product.ts';

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
    document.title = `${title} · ${productName}`;
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

/** A page of one column. */
export function Page({ children, ...header }: Props & { children: ReactNode }) {
  return (
    <>
      <PageHeader {...header} />
      <div className="stack">{children}</div>
    </>
  );
}

/** In place of a page's content while it loads. */
export const Placeholder = () => <div className="card placeholder" aria-busy="true" />;
