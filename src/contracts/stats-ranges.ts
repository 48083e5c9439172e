/** The ranges of statistics, which end now. */
export const statsRanges = ['1h', '24h', '7d', '30d'] as const;
export type StatsRange = (typeof statsRanges)[number];
