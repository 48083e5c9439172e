import { useQuery } from '@tanstack/react-query';
import type { Scope } from '../../contracts/key.ts';
import { isPortal } from '../portal.ts';
import { sessionQuery } from '../queries.ts';

/** Why a button that needs the scope is disabled; undefined if the session's key has it. */
export function useScopeReason(scope: Scope): string | undefined {
  const { data: session } = useQuery(sessionQuery);
  if (session?.scopes.includes(scope)) return undefined;
  return isPortal ? 'This link does not allow it.' : `Your key lacks the scope ${scope}.`;
}

/** Explains disabled buttons to a session without the scope. */
export function ScopeNote({ scope, action }: { scope: Scope; action: string }) {
  const { data: session } = useQuery(sessionQuery);
  if (!session || session.scopes.includes(scope)) return null;
  if (isPortal) return <p className="hint">The link that you opened does not allow you to {action}.</p>;
  return (
    <p className="hint">
      To {action}, sign in with a key that has the scope <code>{scope}</code>. “{session.key_name}” lacks it.
    </p>
  );
}
