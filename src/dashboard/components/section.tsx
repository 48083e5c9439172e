import { Fragment, useId, type ComponentProps, type ReactNode } from 'react';

type Props = ComponentProps<'section'> & {
  title: string;
  /** At the end of the heading's line. */
  beside?: ReactNode;
};

/** A part of a page with its heading; a card if no other class is given. */
export function Section({ title, beside, children, ...section }: Props) {
  const id = useId();
  const heading = <h2 id={id}>{title}</h2>;
  return (
    <section className="card" {...section} aria-labelledby={id}>
      {beside === undefined ? (
        heading
      ) : (
        <div className="row spread section-header">
          {heading}
          {beside}
        </div>
      )}
      {children}
    </section>
  );
}

type FactsProps = { className?: string; facts: Record<string, ReactNode> };

/** Values by name; a fact that is null or undefined is left out. */
export function Facts({ className = 'facts', facts }: FactsProps) {
  return (
    <dl className={className}>
      {Object.entries(facts).map(
        ([name, value]) =>
          value !== null &&
          value !== undefined && (
            <Fragment key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </Fragment>
          ),
      )}
    </dl>
  );
}

/** Explains an empty list and how to fill it. */
export function EmptyState({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="empty-state">
      <h2>{title}</h2>
      {children}
    </section>
  );
}
