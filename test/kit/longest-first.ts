import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * One project after the other: vitest ends a process that runs tests where the next file is of another project, and a new one
 * imports the service again. Last the one with the most short files, which keep all cores busy until the end.
 */
const projects = ['unit', 'release', 'ungrouped', 'runtime', 'service'];

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

const compare = (a: TestSpecification, b: TestSpecification): number =>
  projects.indexOf(a.project.name) - projects.indexOf(b.project.name) || rank(a) - rank(b);

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted(compare);
  }
}
