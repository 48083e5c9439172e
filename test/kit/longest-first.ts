import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that take longest: started first, none of them runs on alone at the end. */
const longest = [
  'chaos',
  'openapi-fuzz',
  'dashboard-pages',
  'start',
  'recover',
  'temporal-tls',
  'crash',
  'bench',
  'group-dispatch',
  'many-processes',
  'torture',
  'temporal-outage',
  'receivers-examples',
  'dashboard-deliveries',
  'hourly-cap',
  'cached-workflows',
  'crash-groups',
  'slow-clients',
  'dashboard-webhooks',
  'pgbouncer',
  'temporal-visibility',
  'dashboard-sign-in',
];

const rank = ({ moduleId }: TestSpecification): number => {
  const index = longest.indexOf(basename(moduleId, '.test.ts'));
  return index < 0 ? longest.length : index;
};

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}
