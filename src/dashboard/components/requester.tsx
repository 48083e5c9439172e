import { useQuery } from '@tanstack/react-query';
import { isPortal } from '../portal.ts';
import { keysQuery, sessionQuery } from '../queries.ts';

/** Who requested something: a key by its name, where it is the account's. */
export function RequesterName({ id }: { id: string }) {
  const { data: session } = useQuery(sessionQuery);
  const { data: keys } = useQuery({ ...keysQuery, enabled: !isPortal });
  if (id === session?.key_id) return isPortal ? 'you' : `key “${session.key_name}”`;
  const key = keys?.find((each) => each.id === id);
  if (key) return `key “${key.name}”`;
  if (id.startsWith('pl_')) return 'a portal session';
  return <code>{id}</code>;
}
