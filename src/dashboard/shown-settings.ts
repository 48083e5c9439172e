import { useQuery } from '@tanstack/react-query';
import { sessionQuery, settingsQuery } from './queries.ts';

/** What the pages about webhooks show of the settings, which a portal has with its session; undefined while loading. */
export function useShownSettings() {
  const { data: settings } = useQuery(settingsQuery);
  const { data: session } = useQuery(sessionQuery);
  return settings ?? session?.portal?.settings;
}
