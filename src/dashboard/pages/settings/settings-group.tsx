import { Fragment, useId, type ReactNode } from 'react';

type Props = { title: string; facts: readonly (readonly [name: string, value: ReactNode])[] };

export function SettingsGroup({ title, facts }: Props) {
  const id = useId();
  return (
    <section className="card" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <dl className="facts numeric">
        {facts.map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </Fragment>
        ))}
      </dl>
    </section>
  );
}
