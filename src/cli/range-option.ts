import { Option } from 'commander';
import { statsRanges, type StatsRange } from '../contracts/stats-ranges.ts';

export type RangeOption = { range?: StatsRange };

/** Of statistics. */
export const rangeOption = (): Option =>
  new Option('--range <range>', 'by the minute, the hour, 6 hours or the day').choices(statsRanges);
