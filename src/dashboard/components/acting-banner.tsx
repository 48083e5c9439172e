import { useQuery } from '@tanstack/react-query';
import { actingFor } from '../acting.ts';
import { sessionQuery } from '../queries.ts';

/** Says whose pages these are, so that nobody changes the wrong account. */
export function ActingBanner() {
  const { data: session } = useQuery(sessionQuery);
  if (actingFor === null) return null;
  return (
    <section className="acting-banner" aria-label="Acting for an account">
      <span>
        Acting for <strong>{session?.account_name ?? actingFor}</strong> <code>{actingFor}</code>
      </span>
      <a href={`/accounts/${actingFor}`} className="button button-small">
        Leave
      </a>
    </section>
  );
}
