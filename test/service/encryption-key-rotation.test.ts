import { createHmac, randomBytes } from 'node:crypto';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { ensureAccount } from '../../src/db/accounts.ts';
import { newId } from '../../src/domain/ids.ts';
import { signingKeyContext } from '../../src/domain/signing-key.ts';
import { checkEncryptionKeys } from '../../src/db/encryption-keys.ts';
import { withTransaction } from '../../src/db/pool.ts';
import { reencrypt } from '../../src/db/reencrypt-secrets.ts';
import { authContext, headersContext } from '../../src/db/webhook-policy.ts';
import { rotateSecret } from '../../src/db/secret-rotation.ts';
import { createPayloadBox } from '../../src/security/payload-box.ts';
import { createSecretBox, type SecretBox } from '../../src/security/secret-box.ts';
import { createMigratedDatabase, type TestDatabase } from '../kit/database.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { startReceiver } from '../kit/test-receiver.ts';
import { startService, until } from '../kit/service.ts';

const newKey = () => randomBytes(32);
const keys = { old: { id: 'old', key: newKey() }, new: { id: 'new', key: newKey() } };
const setting = (...list: { id: string; key: Buffer }[]) => ({
  FLTR_ENCRYPTION_KEYS: list.map(({ id, key }) => `${id}:${key.toString('base64')}`).join(','),
});
const noPayloads = createPayloadBox([keys.new], false);
const sealedValues = `select id, 'secret' as what, sealed_secret as sealed from webhooks where sealed_secret is not null
  union all select id, 'previous', previous_sealed_secret from webhooks where previous_sealed_secret is not null
  union all select route, 'response', sealed_response from idempotency_keys`;

test(
  'keys are changed while events are published; then the new key alone is enough',
  { timeout: 300_000 },
  async () => {
    const receiver = await startReceiver();
    const service = await startService({}, null);
    let child: ServiceProcess | null = null;
    const run = async (...list: { id: string; key: Buffer }[]): Promise<void> => {
      child?.kill('SIGTERM');
      await child?.exited();
      const started = startProcess(['up'], { ...service.env, ...setting(...list) });
      child = started;
      await until(
        () => started.output(),
        (output) => output.includes('is ready.') || !started.isRunning(),
      );
      if (!started.isRunning()) throw new Error(started.output());
    };
    onTestFinished(async () => {
      child?.kill('SIGKILL');
      await child?.exited();
      await service.stop();
      await receiver.close();
    });
    const cli = async (...list: { id: string; key: Buffer }[]) => {
      const started = startProcess(['reencrypt'], { ...service.env, ...setting(...list) });
      const code = await started.exited(60_000);
      return { code, output: started.output() };
    };
    const newWebhook = (path: string) =>
      service.call<{ webhook_id: string; secret: string }>(
        'POST',
        '/v1/webhooks',
        { url: receiver.url + path, events: ['*'] },
        { 'Idempotency-Key': path },
      );
    const rotate = (id: string) =>
      service.call<{ secret: string }>('POST', `/v1/webhooks/${id}/rotate-secret`);

    await run(keys.old);
    const plain = (await newWebhook('/plain')).body;
    const rotated = (await newWebhook('/rotated')).body;
    const secretNow = (await rotate(rotated.webhook_id)).body.secret;
    expect((await cli(keys.new)).output).toContain('lacks the key "old"');

    await run(keys.new, keys.old);
    const published: string[] = [];
    const enough = new AbortController();
    const publishing = (async () => {
      while (!enough.signal.aborted) published.push((await service.publish()).id);
    })();
    await until(
      () => receiver.requests.length,
      (count) => count > 10,
    );
    const meanwhile = (await newWebhook('/meanwhile')).body;
    const { code, output } = await cli(keys.new, keys.old);
    const countBefore = published.length;
    await until(
      () => published.length,
      (count) => count > countBefore + 10,
    );
    enough.abort();
    await publishing;
    expect([code, output]).toEqual([
      0,
      `Re-encrypted with "new": 2 webhook secrets, 1 previous secrets, 2 stored responses.
Removed keys: old.
FLTR_ENCRYPTION_KEYS now only needs "new".
`,
    ]);
    const { rows: sealed } = await service.pool.query<{ sealed: string }>(sealedValues);
    expect(sealed).toHaveLength(3 + 1 + 3);
    for (const value of sealed) expect(value.sealed).toMatch(/^new\./);
    const { rows: known } = await service.pool.query(`select id from encryption_keys`);
    expect(known).toEqual([{ id: 'new' }]);
    const audited = await service.pool.query(
      `select account_id, actor, action from audit_records where target = 'new'`,
    );
    expect(audited.rows).toEqual([
      { account_id: null, actor: 'command line', action: 'encryption_keys.reencrypted' },
    ]);

    await run(keys.new);
    published.push((await service.publish()).id);
    for (const [path, secrets] of [
      ['/plain', [plain.secret]],
      ['/rotated', [rotated.secret, secretNow]],
      ['/meanwhile', [meanwhile.secret]],
    ] as const) {
      const isMissing = (id: string) =>
        path !== '/meanwhile' &&
        !receiver.requests.some((request) => request.path === path && request.headers['webhook-id'] === id);
      await until(
        () => published.filter(isMissing),
        (missing) => missing.length === 0,
      );
      const last = await until(
        () =>
          receiver.requests.find(
            (request) => request.path === path && request.headers['webhook-id'] === published.at(-1),
          ),
        (request) => request !== undefined,
      );
      if (!last) throw new Error('unreachable');
      expect(last.headers['x-fltr-signature']).toBe(
        createHmac('sha256', secrets[0]).update(last.body).digest('hex'),
      );
      for (const secret of secrets) {
        new StandardWebhook(secret).verify(last.body, last.headers as Record<string, string>);
      }
    }
    // Stored responses as well: the same key again gives the same webhook and secret.
    const again = await newWebhook('/plain');
    expect([again.body, again.headers.get('idempotent-replayed')]).toEqual([plain, 'true']);
    expect((await cli(keys.new)).output).toContain(
      '0 webhook secrets, 0 previous secrets, 0 stored responses.\nFLTR_ENCRYPTION_KEYS now only needs',
    );
  },
);

describe('in the database', () => {
  let database: TestDatabase;
  let accountId: string;
  const [oldBox, bothBox, newBox] = [[keys.old], [keys.new, keys.old], [keys.new]].map(createSecretBox) as [
    SecretBox,
    SecretBox,
    SecretBox,
  ];
  beforeEach(async () => {
    database = await createMigratedDatabase();
    accountId = newId('acc');
    await ensureAccount(database.pool, accountId, 'test');
    await checkEncryptionKeys(database.pool, oldBox);
    await checkEncryptionKeys(database.pool, bothBox);
  });
  afterEach(() => database.drop());

  /** `wh_00001`, …: each secret is its own name; every third one is in an overlap. */
  async function insertWebhooks(count: number): Promise<void> {
    const names = Array.from({ length: count }, (_, index) => `wh_${String(index).padStart(5, '0')}`);
    await database.pool.query(
      `insert into webhooks (id, account_id, url, events, active, sealed_secret, previous_sealed_secret, previous_secret_until)
       select id, $1, 'https://example.com/', '{*}', true, sealed, previous, case when previous is not null then now() + interval '1 day' end
       from unnest($2::text[], $3::text[], $4::text[]) as made(id, sealed, previous)`,
      [
        accountId,
        names,
        names.map((name) => oldBox.seal(`secret of ${name}`, name)),
        names.map((name, index) => (index % 3 === 0 ? oldBox.seal(`previous of ${name}`, name) : null)),
      ],
    );
  }
  async function insertResponses(count: number): Promise<void> {
    const names = Array.from({ length: count }, (_, index) => `key-${index}`);
    await database.pool.query(
      `insert into idempotency_keys (account_id, api_key_id, route, key, request_digest, sealed_response)
       select 'acc_1', 'key_1', 'publishEvent', key, '', sealed from unnest($1::text[], $2::text[]) as made(key, sealed)`,
      [
        names,
        names.map((name) =>
          oldBox.seal(`response of ${name}`, `idempotency:acc_1:key_1:publishEvent:${name}`),
        ),
      ],
    );
  }
  /** Every webhook's secret as text, opened with that box. */
  async function openAll(box: SecretBox): Promise<string[]> {
    const { rows } = await database.pool.query<{ id: string; what: string; sealed: string }>(
      `${sealedValues} order by id, what`,
    );
    return rows
      .filter(({ what }) => what !== 'response')
      .map(({ id, what, sealed }) => {
        expect(box.open(sealed, id)).toBe(`${what} of ${id}`);
        return sealed.split('.')[0] ?? '';
      });
  }

  test('reencryption takes many batches, and none twice', async () => {
    await insertWebhooks(1000);
    await insertResponses(1000);
    expect(await reencrypt(database.pool, bothBox, noPayloads, 'test')).toEqual({
      secrets: 1000,
      previousSecrets: 334,
      responses: 1000,
      eventBodies: 0,
      receiverResponses: 0,
      removedKeys: ['old'],
    });
    expect(await openAll(newBox)).toHaveLength(1334);
    const { rows } = await database.pool.query<{ key: string; sealed: string }>(
      `select key, sealed_response as sealed from idempotency_keys`,
    );
    for (const { key, sealed } of rows) {
      expect(newBox.open(sealed, `idempotency:acc_1:key_1:publishEvent:${key}`)).toBe(`response of ${key}`);
    }
    await checkEncryptionKeys(database.pool, newBox);
    expect(await reencrypt(database.pool, newBox, noPayloads, 'test')).toEqual({
      secrets: 0,
      previousSecrets: 0,
      responses: 0,
      eventBodies: 0,
      receiverResponses: 0,
      removedKeys: [],
    });
  });

  test('ed25519 keys are encrypted again, previous ones too, and a start without their key is refused', async () => {
    await insertWebhooks(4);
    const sealed = (id: string, what: string) => oldBox.seal(`${what} of ${id}`, signingKeyContext(id));
    const insertKeys = async (id: string, previous: boolean) =>
      database.pool.query(
        `update webhooks set sealed_signing_key = $2, previous_sealed_signing_key = $3 where id = $1`,
        [id, sealed(id, 'key'), previous ? sealed(id, 'previous key') : null],
      );
    await insertKeys('wh_00000', true);
    await insertKeys('wh_00001', false);
    await reencrypt(database.pool, { ...bothBox, seal: newBox.seal.bind(newBox) }, noPayloads, 'test');
    // A process that does not know the new key yet adds one more.
    await insertKeys('wh_00002', false);
    await expect(checkEncryptionKeys(database.pool, newBox)).rejects.toThrow(/lacks the key "old"/);
    expect(await reencrypt(database.pool, bothBox, noPayloads, 'test')).toMatchObject({
      secrets: 1,
      previousSecrets: 0,
    });
    const { rows } = await database.pool.query<{ id: string; now: string; before: string | null }>(
      `select id, sealed_signing_key as now, previous_sealed_signing_key as before from webhooks
       where sealed_signing_key is not null order by id`,
    );
    expect(rows.map(({ id, now }) => newBox.open(now, signingKeyContext(id)))).toEqual(
      rows.map(({ id }) => `key of ${id}`),
    );
    expect(newBox.open(rows[0]?.before ?? '', signingKeyContext('wh_00000'))).toBe(
      'previous key of wh_00000',
    );
    await checkEncryptionKeys(database.pool, newBox);
    await database.pool.query(`update webhooks set previous_secret_until = now() where id = 'wh_00000'`);
    await reencrypt(database.pool, newBox, noPayloads, 'test');
    const kept = `select 1 from webhooks where previous_sealed_signing_key is not null`;
    expect((await database.pool.query(kept)).rows).toEqual([]);
  });

  test('headers and credentials of a policy are reencrypted, and need their key until then', async () => {
    await insertWebhooks(3);
    const id = 'wh_00001';
    const [headers, auth] = ['[["X-Api-Key","k"]]', '{"type":"bearer","token":"t"}'];
    await database.pool.query(
      `update webhooks set sealed_secret = $2, header_names = '{X-Api-Key}', sealed_headers = $3,
         auth = '{"type": "bearer"}', sealed_auth = $4 where id = $1`,
      [
        id,
        newBox.seal('secret', id),
        oldBox.seal(headers, headersContext(id)),
        oldBox.seal(auth, authContext(id)),
      ],
    );
    // No other value needs the old key.
    await database.pool.query(`delete from webhooks where id <> $1`, [id]);
    await database.pool.query(`delete from encryption_keys where id = 'old'`);
    await expect(checkEncryptionKeys(database.pool, newBox)).rejects.toThrow(/lacks the key "old"/);
    expect(await reencrypt(database.pool, bothBox, noPayloads, 'test')).toMatchObject({ secrets: 2 });
    await checkEncryptionKeys(database.pool, newBox);
    const { rows } = await database.pool.query<Record<'headers' | 'auth', string>>(
      `select sealed_headers as headers, sealed_auth as auth from webhooks where id = $1`,
      [id],
    );
    expect(newBox.open(rows[0]?.headers ?? '', headersContext(id))).toBe(headers);
    expect(newBox.open(rows[0]?.auth ?? '', authContext(id))).toBe(auth);
    // Each is bound to its webhook and its column.
    expect(() => newBox.open(rows[0]?.auth ?? '', headersContext(id))).toThrow();
    expect(() => newBox.open(rows[0]?.auth ?? '', authContext('wh_00002'))).toThrow();
  });

  test('an interrupted reencryption removes no key, and the next run continues where it was', async () => {
    await insertWebhooks(1000);
    let sealedSoFar = 0;
    const interrupted: SecretBox = {
      ...bothBox,
      seal(plain, context) {
        sealedSoFar += 1;
        if (sealedSoFar > 500) throw new Error('cut off');
        return bothBox.seal(plain, context);
      },
    };
    await expect(reencrypt(database.pool, interrupted, noPayloads, 'test')).rejects.toThrow();
    expect(new Set(await openAll(bothBox))).toEqual(new Set(['new', 'old']));
    await expect(checkEncryptionKeys(database.pool, newBox)).rejects.toThrow(/lacks the key "old"/);
    const { secrets, previousSecrets, removedKeys } = await reencrypt(
      database.pool,
      bothBox,
      noPayloads,
      'test',
    );
    expect([secrets, previousSecrets, removedKeys]).toEqual([600, 334, ['old']]);
    await openAll(newBox);
  });

  test('two runs of reencryption at once, and a rotation in between, lose nothing', async () => {
    await insertWebhooks(300);
    const id = 'wh_00100';
    const waiting = withTransaction(database.pool, async (client) => {
      await rotateSecret(client, {
        accountId,
        webhookId: id,
        sealedSecret: oldBox.seal('rotated', id),
        sealedSigningKey: oldBox.seal('rotated key', signingKeyContext(id)),
        endsOverlap: false,
        overlapSeconds: 600,
        isSame: () => false,
      });
      // Both runs have read the row as it was, and wait for this transaction.
      const runs = [1, 2].map(() => reencrypt(database.pool, bothBox, noPayloads, 'test'));
      await until(
        async () => {
          const { rowCount } = await database.pool.query(
            `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
          );
          return rowCount;
        },
        (count) => count === 2,
      );
      return runs;
    });
    await Promise.all(await waiting);
    const { rows } = await database.pool.query<{ now: string; before: string }>(
      `select sealed_secret as now, previous_sealed_secret as before from webhooks where id = $1`,
      [id],
    );
    const [row] = rows;
    expect(row && [row.now, row.before].map((sealed) => newBox.open(sealed, id))).toEqual([
      'rotated',
      `secret of ${id}`,
    ]);
    await checkEncryptionKeys(database.pool, newBox);
  });

  test('a previous secret whose overlap has ended is wiped', async () => {
    await insertWebhooks(2);
    await database.pool.query(`update webhooks set previous_secret_until = now() where id = 'wh_00000'`);
    expect(await reencrypt(database.pool, bothBox, noPayloads, 'test')).toMatchObject({
      secrets: 2,
      previousSecrets: 0,
    });
    const { rows } = await database.pool.query(
      `select 1 from webhooks where previous_sealed_secret is not null`,
    );
    expect(rows).toEqual([]);
  });

  test('a process that still uses the old key is noticed, at once or at the next start', async () => {
    await insertWebhooks(1);
    // Replaced values are soon sealed with the old key again.
    const undone: SecretBox = { ...bothBox, seal: oldBox.seal.bind(oldBox) };
    await expect(reencrypt(database.pool, undone, noPayloads, 'test')).rejects.toThrow(
      /still encrypts with another key than "new"\. Restart every process/,
    );
    await reencrypt(database.pool, bothBox, noPayloads, 'test');
    await database.pool.query(`update webhooks set sealed_secret = $1`, [oldBox.seal('rotated', 'wh_00000')]);
    await expect(checkEncryptionKeys(database.pool, newBox)).rejects.toThrow(/lacks the key "old"/);
    await checkEncryptionKeys(database.pool, bothBox);
    await reencrypt(database.pool, bothBox, noPayloads, 'test');
    await checkEncryptionKeys(database.pool, newBox);
  });

  test('a value that was changed is named, and no key is forgotten', async () => {
    await insertWebhooks(3);
    await database.pool.query(
      `update webhooks set sealed_secret = (select sealed_secret from webhooks where id = 'wh_00000') where id = 'wh_00001'`,
    );
    await expect(reencrypt(database.pool, bothBox, noPayloads, 'test')).rejects.toThrow(
      /^The secret of wh_00001 cannot be decrypted/,
    );
    await expect(checkEncryptionKeys(database.pool, newBox)).rejects.toThrow(/lacks the key "old"/);
  });
});
