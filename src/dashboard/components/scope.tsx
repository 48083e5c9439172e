import { useQuery } from '@tanstack/react-query';
import { sessionQuery } from '../queries.ts';

type Scope = 'webhooks:read' | 'webhooks:write' | 'events:write';

/** Whether the key that signed in may do what needs this scope. */
export function useHasScope(scope: Scope): boolean {
  const { data: session } = useQuery(sessionQuery);
  return session?.scopes.includes(scope) ?? false;
}

/** The same as the reason for a disabled button; undefined where it may. */
export function useScopeReason(scope: Scope): string | undefined {
  return useHasScope(scope) ? undefined : `Your key lacks the scope ${scope}.`;
}

/** Why buttons beside it are disabled; nothing where they are not. */
export function ScopeNote({ scope, deed }: { scope: Scope; deed: string }) {
  const { data: session } = useQuery(sessionQuery);
  if (!session || session.scopes.includes(scope)) return null;
  return (
    <p className="hint">
      To {deed}, sign in with a key that has the scope <code>{scope}</code>: “{session.key_name}” lacks it.
    </p>
  );
}
