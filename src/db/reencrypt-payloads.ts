import { bodyContext, headersContext, responseContext } from './payloads.ts';
import type { Pool, Queryable } from './pool.ts';

export type PayloadBox = {
  seals: boolean;
  currentKeyId: string;
  seal(plain: Buffer, context: string): Buffer;
  open(sealed: Buffer, context: string): Buffer;
};

/** Rows that one statement reads: of the longest bodies, 25 MiB. */
const batchSize = 100;

/** `other`: sealed with another key; `plain`: not sealed; null: nothing to change. */
type State = 'other' | 'plain' | null;
type Body = { accountId: string; id: string; state: State; stored: Buffer | null };
type Response = {
  deliveryId: string;
  number: number;
  state: State;
  headers: Record<string, string> | string | null;
  body: Buffer | null;
};

type Replaced = {
  /** How many were sealed with another key. */
  other: number;
  replaced: number;
};

/** The state of sealed bytes: `01`, the length of the key's id, the id, … `$1`: the current key. */
const stateOfSealed = (bytes: string) =>
  `case when substring(${bytes} from 3 for get_byte(substring(${bytes} from 2 for 1), 0)) <> convert_to($1, 'utf8') then 'other' end`;

/**
 * Seals all payloads with the current key, one batch after the other in the order of the rows. Those that are not sealed stay so
 * unless the setting is on. Each row is replaced only if it is still as it was read.
 */
export async function reencryptPayloads(
  pool: Pool,
  box: PayloadBox,
): Promise<{ bodies: Replaced; responses: Replaced }> {
  return { bodies: await reencryptBodies(pool, box), responses: await reencryptResponses(pool, box) };
}

async function reencryptBodies(db: Queryable, box: PayloadBox): Promise<Replaced> {
  const all: Replaced = { other: 0, replaced: 0 };
  for (let after: [string, string] | null = ['', '']; after;) {
    const { rows }: { rows: Body[] } = await db.query<Body>(
      `select account_id as "accountId", id, state, case when state is not null then body end as stored from (
         select account_id, id, body, case when substring(body from 1 for 1) <> '\\x01' then case when $2 then 'plain' end
           else ${stateOfSealed('body')} end as state
         from events where (account_id, id) > ($3, $4) and body is not null
         order by account_id, id limit $5) as page
       order by account_id, id`,
      [box.currentKeyId, box.seals, ...after, batchSize],
    );
    const changed = rows.flatMap((row) => (row.stored ? [{ ...row, stored: row.stored }] : []));
    const { rowCount } = await db.query(
      `update events e set body = renewed.sealed
       from unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[]) as renewed(account_id, id, was, sealed)
       where e.account_id = renewed.account_id and e.id = renewed.id and e.body = renewed.was`,
      [
        changed.map(({ accountId }) => accountId),
        changed.map(({ id }) => id),
        changed.map(({ stored }) => stored),
        changed.map((row) => renewed(box, row.state, row.stored, bodyContext(row))),
      ],
    );
    add(all, rows, rowCount);
    const last = rows.at(-1);
    after = last ? [last.accountId, last.id] : null;
  }
  return all;
}

async function reencryptResponses(db: Queryable, box: PayloadBox): Promise<Replaced> {
  const all: Replaced = { other: 0, replaced: 0 };
  for (let after: [string, number] | null = ['', 0]; after;) {
    const { rows }: { rows: Response[] } = await db.query<Response>(
      `select delivery_id as "deliveryId", number, state, case when state is not null then response_headers end as headers,
         case when state is not null then response_body end as body from (
         select delivery_id, number, response_headers, response_body,
           case when response_headers is null then null
             when jsonb_typeof(response_headers) <> 'string' then case when $2 then 'plain' end
             else ${stateOfSealed(`decode(response_headers #>> '{}', 'base64')`)} end as state
         from attempts where (delivery_id, number) > ($3, $4)
         order by delivery_id, number limit $5) as page
       order by delivery_id, number`,
      [box.currentKeyId, box.seals, ...after, batchSize],
    );
    const changed = rows.flatMap((row) => (row.headers === null ? [] : [toRenew(box, row)]));
    const { rowCount } = await db.query(
      `update attempts a set response_headers = renewed.headers, response_body = renewed.body
       from unnest($1::text[], $2::int[], $3::jsonb[], $4::jsonb[], $5::bytea[]) as renewed(delivery_id, number, was, headers, body)
       where a.delivery_id = renewed.delivery_id and a.number = renewed.number and a.response_headers = renewed.was`,
      [
        changed.map(({ deliveryId }) => deliveryId),
        changed.map(({ number }) => number),
        changed.map(({ was }) => was),
        changed.map(({ headers }) => headers),
        changed.map(({ body }) => body),
      ],
    );
    add(all, rows, rowCount);
    const last = rows.at(-1);
    after = last ? [last.deliveryId, last.number] : null;
  }
  return all;
}

function add(all: Replaced, rows: readonly { state: State }[], rowCount: number | null): void {
  all.other += rows.filter(({ state }) => state === 'other').length;
  all.replaced += rowCount ?? 0;
}

const renewed = (box: PayloadBox, state: State, stored: Buffer, context: string): Buffer =>
  box.seal(state === 'plain' ? stored : box.open(stored, context), context);

function toRenew(box: PayloadBox, row: Response) {
  const { headers, body } = row;
  const bytes =
    typeof headers === 'string' ? Buffer.from(headers, 'base64') : Buffer.from(JSON.stringify(headers));
  return {
    deliveryId: row.deliveryId,
    number: row.number,
    was: JSON.stringify(headers),
    headers: JSON.stringify(renewed(box, row.state, bytes, headersContext(row)).toString('base64')),
    body: body && renewed(box, row.state, body, responseContext(row)),
  };
}
