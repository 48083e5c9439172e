import { useQuery } from '@tanstack/react-query';
import { sessionQuery } from '../queries.ts';

type Scope = 'webhooks:read' | 'webhooks:write' | 'events:write';

/** Whether the session's key has the scope. */
export function useHasScope(scope: Scope): boolean {
  const { data: session } = useQuery(sessionQuery);
  return session?.scopes.includes(scope) ?? false;
}

/** Why a button that needs the scope is disabled; undefined if it is not. */
export function useScopeReason(scope: Scope): string | undefined {
  return useHasScope(scope) ? undefined : `Your key lacks the scope ${scope}.`;
}

/** Explains disabled buttons to a session without the scope. */
export function ScopeNote({ scope, action }: { scope: Scope; action: string }) {
  const { data: session } = useQuery(sessionQuery);
  if (!session || session.scopes.includes(scope)) return null;
  return (
    <p className="hint">
      To {action}, sign in with a key that has the scope <code>{scope}</code>. “{session.key_name}” lacks it.
    </p>
  );
}
