import type { Client, Pool } from '../../src/db/pool.ts';

export type PlanNode = {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Rows'?: number;
  'Actual Loops'?: number;
  'Rows Removed by Filter'?: number;
  'Shared Hit Blocks'?: number;
  'Shared Read Blocks'?: number;
  Plans?: PlanNode[];
};
/** `isGeneric`: the one that PostgreSQL keeps for a named statement, for all its values. */
export type Explained = { text: string; isGeneric: boolean; nodes: PlanNode[] };

type Query = { text: string; values: unknown[]; name?: string };

function toQuery(args: unknown[]): Query {
  const [first, values] = args;
  if (typeof first === 'string') return { text: first, values: (values as unknown[] | undefined) ?? [] };
  const query = first as Partial<Query> & { text: string };
  return { ...query, values: query.values ?? [] };
}

/**
 * The pool, but each statement is explained just before it runs, on its connection. `analyze`: a statement that only
 * reads is run for that, and its plan has the number of rows read.
 */
export function explainedPool(
  pool: Pool,
  { analyze = false } = {},
): { pool: Pool; taken: () => Explained[] } {
  const plans: Explained[] = [];
  const wrap = <T extends Pool | Client>(target: T): T => {
    const raw = target.query.bind(target) as (
      ...args: unknown[]
    ) => Promise<{ rows: Record<string, unknown>[] }>;
    const explain = async (options: string, { text, values }: Query, isGeneric: boolean): Promise<void> => {
      const { rows } = await raw(`explain (format json${options}) ${text}`, isGeneric ? undefined : values);
      const [row] = rows;
      if (!row) throw new Error('EXPLAIN returned no row');
      const [{ Plan: root }] = row['QUERY PLAN'] as [{ Plan: PlanNode }];
      plans.push({ text, isGeneric, nodes: nodesOf(root) });
    };
    return new Proxy(target, {
      get(object, property) {
        if (property === 'query') {
          return async (...args: unknown[]) => {
            const query = toQuery(args);
            if (/^\s*(select|with|insert|update|delete)\b/i.test(query.text)) {
              const isRead = /^\s*select\b/i.test(query.text) && !/for update/i.test(query.text);
              const isReadOnly = isRead || /^\s*with recursive\b/i.test(query.text);
              await explain(analyze && isReadOnly ? ', analyze, buffers' : '', query, false);
              if (query.name !== undefined) await explain(', generic_plan', query, true);
            }
            return raw(...args);
          };
        }
        if (property === 'connect') return async () => wrap(await (object as Pool).connect());
        const value: unknown = Reflect.get(object, property, object);
        return typeof value === 'function' ? (value.bind(object) as unknown) : value;
      },
    });
  };
  return { pool: wrap(pool), taken: () => plans.splice(0) };
}

function nodesOf(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

/** Tables that may be read whole, and why. */
const small: Record<string, string> = {
  accounts: 'old events are removed account by account',
  operations: 'each was requested by hand',
  event_types_version: 'it has one row',
};

/** The tables that statements read whole. */
export function wholeReads(plans: readonly Explained[]): string[] {
  return plans.flatMap(({ text, nodes }) =>
    nodes
      .filter((node) => node['Node Type'] === 'Seq Scan' && !((node['Relation Name'] ?? '') in small))
      .map((node) => `${node['Relation Name']}: ${text}`),
  );
}

/** Rows of a table that a statement took up, those that its conditions then left out among them. */
export function rowsRead(nodes: readonly PlanNode[], table: string): number {
  return nodes
    .filter((node) => node['Relation Name'] === table)
    .reduce((sum, node) => {
      const rows = (node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0);
      return sum + rows * (node['Actual Loops'] ?? 1);
    }, 0);
}
