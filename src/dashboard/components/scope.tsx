import { useQuery } from '@tanstack/react-query';
import { sessionQuery } from '../queries.ts';

type Scope = 'webhooks:read' | 'webhooks:write' | 'events:write';

/** Why the key that signed in may not do what needs this scope; undefined where it may. */
export function useScopeReason(scope: Scope): string | undefined {
  const { data: session } = useQuery(sessionQuery);
  if (session === undefined || session.scopes.includes(scope)) return undefined;
  return `The key you signed in with lacks the scope ${scope}. Sign in with one that has it.`;
}

/** Says once on a page why its buttons are disabled. Nothing where the key may. */
export function ScopeNotice({ scope }: { scope: Scope }) {
  const reason = useScopeReason(scope);
  return reason === undefined ? null : <p className="notice notice-warn scope-notice">{reason}</p>;
}
