import { afterAll, beforeAll, expect, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startMutualReceiver } from '../kit/mutual-receiver.ts';
import { startOAuthServer, type OAuthServer } from '../kit/oauth-server.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { makeCertificate } from '../kit/raw-receiver.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, until, untilReady, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let oauth: OAuthServer;
let processes: ServiceProcess[];
let apiUrls: string[];
const secrets = {
  header: 'header-value-to-hide',
  changedHeader: 'changed-value-to-hide',
  password: 'password-to-hide',
  bearer: 'bearer-token-to-hide',
  client: 'client-secret-to-hide',
  wrongClient: 'wrong-secret-to-hide',
};
const oauthClient = { id: 'fltr', secret: secrets.client };

beforeAll(async () => {
  receiver = await startReceiver((request, response) => {
    if (request.path !== '/protected') return void response.end('ok');
    void oauth
      .accepts(request.headers.authorization)
      .then((isAccepted) => response.writeHead(isAccepted ? 200 : 401).end());
  });
  oauth = await startOAuthServer([oauthClient]);
  const settings = { FLTR_RETRY_SCHEDULE_SECONDS: '1,1,1,1' };
  service = await startService({ LOG_LEVEL: 'debug', ...settings }, null);
  // Two processes that both make attempts.
  const ports = [Number(new URL(service.apiUrl).port), await reservePort()];
  processes = ports.map((port) => startProcess(['up'], { ...service.env, PORT: String(port) }));
  apiUrls = ports.map((port) => `http://127.0.0.1:${port}`);
  for (const [index, url] of apiUrls.entries()) await untilReady(url, processes[index]);
});
afterAll(async () => {
  for (const child of processes) child.kill('SIGKILL');
  await Promise.all(processes.map((child) => child.exited()));
  await service.stop();
  await receiver.close();
  await oauth.close();
});

async function readExport(path: string): Promise<string> {
  const headers = { accept: 'application/x-ndjson', authorization: `Bearer ${service.key}` };
  return (await fetch(service.apiUrl + path, { headers })).text();
}

/** The calls of the API that need no parameters. */
async function readAllLists(both: (method: string, path: string) => Promise<unknown>): Promise<void> {
  const { body } = await service.call<{ paths: Record<string, object> }>('GET', '/openapi.json');
  const paths = Object.keys(body.paths).filter((path) => 'get' in (body.paths[path] ?? {}));
  const lists = paths.filter((path) => path.startsWith('/v1/') && !/\{|stream$|search$/.test(path));
  expect(lists).toEqual(expect.arrayContaining(['/v1/webhooks', '/v1/deliveries', '/v1/audit-records']));
  for (const path of lists) await both('GET', path);
}

test('no secret of a policy is in a log line, a history, a response, or readable in the database', async () => {
  const { url: mutualUrl, ca, one } = await startMutualReceiver();
  const mtls = { type: 'mtls', certificate: one.cert, key: one.key, ca };
  const stranger = makeCertificate(['client.test']);
  const oauth2 = { type: 'oauth2', token_url: oauth.tokenUrl, client_id: oauthClient.id };
  const policies: Record<string, Record<string, unknown>> = {
    headers: { headers: { 'X-Api-Key': secrets.header } },
    basic: { auth: { type: 'basic', username: 'fltr', password: secrets.password } },
    bearer: { auth: { type: 'bearer', token: secrets.bearer } },
    protected: { auth: { ...oauth2, client_secret: oauthClient.secret } },
    mtls: { url: mutualUrl, auth: mtls },
  };
  /** Whose attempts fail, with the secret at hand. */
  const failing: typeof policies = {
    noToken: { auth: { ...oauth2, client_secret: secrets.wrongClient } },
    refused: { url: mutualUrl, auth: { ...mtls, certificate: stranger.cert, key: stranger.key } },
  };
  const shown: string[] = [];
  const both = async (method: string, path: string, body?: unknown, headers?: Record<string, string>) => {
    for (const apiUrl of apiUrls) {
      const response = await call<{ webhook_id: string }>(apiUrl, service.key, method, path, body, headers);
      shown.push(response.text, JSON.stringify([...response.headers]));
      if (apiUrl === apiUrls.at(-1)) return response;
    }
    throw new Error('unreachable');
  };
  const ids: Record<string, string> = {};
  const create = async (name: string, policy: Record<string, unknown>): Promise<void> => {
    const body = { url: `${receiver.url}/${name}`, events: ['document.deleted'], ...policy };
    // The second process repeats the stored response of the first one.
    const { body: created } = await both('POST', '/v1/webhooks', body, { 'Idempotency-Key': name });
    ids[name] = created.webhook_id;
  };
  for (const [name, policy] of Object.entries(policies)) await create(name, policy);
  await both('PATCH', `/v1/webhooks/${ids['headers']}`, { headers: { 'X-Api-Key': secrets.changedHeader } });
  await both('PATCH', `/v1/webhooks/${ids['headers']}`, { headers: { 'X-Api-Key': `${secrets.header}\n` } });
  await both('PATCH', `/v1/webhooks/${ids['basic']}`, {
    auth: { type: 'digest', password: secrets.password },
  });

  const deliveries: string[] = [];
  /** Those of their first attempts, and their own. */
  const workflows = new Set<string>();
  const publish = async (): Promise<void> => {
    const published = await service.publish();
    for (const { id, webhook_id: webhookId } of published.deliveries) {
      deliveries.push(id);
      const isFailing = [ids['noToken'], ids['refused']].includes(webhookId);
      const { workflow } = await waitForStatus(service, id, isFailing ? 'failed' : 'delivered');
      workflows.add(workflow.id);
    }
  };
  // Over several events each process makes attempts, and gets a token of its own.
  for (let round = 0; round < 6; round += 1) await publish();
  const tokens = new Set(
    receiver.requests
      .filter(({ path }) => path === '/protected')
      .map(({ headers }) => headers.authorization?.slice('Bearer '.length) ?? ''),
  );
  for (const token of tokens) await oauth.revoke(token);
  for (let round = 0; round < 4; round += 1) await publish();
  for (const [name, policy] of Object.entries(failing))
    await create(name, { ...policy, retry: { preset: 'none' } });
  await publish();
  expect(ids).toHaveProperty('refused');
  for (const { path, headers } of receiver.requests) {
    if (path === '/headers') expect(headers['x-api-key']).toBe(secrets.changedHeader);
    if (path === '/bearer') expect(headers.authorization).toBe(`Bearer ${secrets.bearer}`);
    if (path === '/protected' && headers.authorization) tokens.add(headers.authorization.slice(7));
  }
  expect(tokens.size).toBeGreaterThanOrEqual(2);
  for (const id of Object.values(ids)) {
    await both('GET', `/v1/webhooks/${id}`);
    await both('GET', `/v1/webhooks/${id}/secret`);
    await both('POST', '/v1/webhooks/test', { webhook_id: id, event: 'document.deleted' });
  }
  await readAllLists(both);
  for (const path of ['/v1/deliveries', '/v1/events']) shown.push(await readExport(path));
  for (const apiUrl of apiUrls) shown.push(await (await fetch(`${apiUrl}/metrics`)).text());
  for (const id of deliveries) {
    await both('GET', `/v1/deliveries/${id}`);
    await both('POST', `/v1/deliveries/${id}/signed-request`);
  }

  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const needles: Record<string, string> = {
    ...secrets,
    basic: base64(`fltr:${secrets.password}`),
    clientBasic: base64(`fltr:${secrets.client}`),
    key: mtls.key.split('\n')[1] ?? '',
    strangersKey: stranger.key.split('\n')[1] ?? '',
    wrongBasic: base64(`fltr:${secrets.wrongClient}`),
    ...Object.fromEntries([...tokens].map((token, index) => [`token ${index}`, token])),
  };
  const find = (where: string, text: string) => {
    for (const [name, needle] of Object.entries(needles))
      if (text.includes(needle)) throw new Error(`${name} is in ${where}: ${text.slice(0, 300)}`);
  };
  for (const text of shown) find('a response', text);
  expect(shown.join()).toContain('"X-Api-Key":{"set":true}');

  const { client } = service.temporal;
  for (const id of workflows) {
    const handle = client.workflow.getHandle(id);
    const { events } = await handle.fetchHistory();
    // Payloads are base64 or bytes in a history: look at them decoded.
    const readable = JSON.stringify(events, (_name, value: unknown) =>
      value instanceof Uint8Array ||
      (typeof value === 'object' && value !== null && (value as { type?: unknown }).type === 'Buffer')
        ? Buffer.from((value as { data?: number[] }).data ?? (value as Uint8Array)).toString()
        : value,
    );
    find('a history', readable);
    const { searchAttributes, memo } = await handle.describe();
    find('search attributes or memo', JSON.stringify([searchAttributes, memo]));
  }
  await findInDatabase(find);

  for (const id of Object.values(ids)) await both('DELETE', `/v1/webhooks/${id}`);
  const { rows } = await service.pool.query(
    `select count(*)::int as count from webhooks
     where coalesce(sealed_headers, sealed_auth) is not null or auth is not null or cardinality(header_names) > 0`,
  );
  expect(rows).toEqual([{ count: 0 }]);
  for (const child of processes) child.kill('SIGTERM');
  await Promise.all(processes.map((child) => child.exited()));
  const logs = processes.map((child) => child.output());
  for (const log of logs) {
    expect(log).toContain('POST /v1/webhooks');
    find('the logs', log);
  }
});

async function findInDatabase(find: (where: string, text: string) => void): Promise<void> {
  const { rows: tables } = await service.pool.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = current_schema()`,
  );
  expect(tables.length).toBeGreaterThan(10);
  for (const { name } of tables) {
    const { rows } = await service.pool.query<{ row: string }>(`select t::text as row from ${name} t`);
    for (const { row } of rows) {
      find(`the table ${name}`, row);
      // bytea as text is hexadecimal.
      const bytes = [...row.matchAll(/\\\\?x((?:[0-9a-f]{2})+)/g)].map(([, hex = '']) =>
        Buffer.from(hex, 'hex'),
      );
      find(`the table ${name}`, Buffer.concat(bytes).toString('latin1'));
    }
  }
}

test('deleting an account wipes the secrets of its webhooks', async () => {
  const operator = await service.newKey({ accountId: null });
  const { accountId, key } = await service.newAccount();
  const [apiUrl = ''] = apiUrls;
  // The test before has stopped the processes.
  if (!processes.some((child) => child.isRunning())) {
    processes = [startProcess(['up'], service.env)];
    await untilReady(apiUrl, processes[0]);
  }
  const created = await call<{ webhook_id: string }>(apiUrl, key, 'POST', '/v1/webhooks', {
    url: `${receiver.url}/erased`,
    events: ['*'],
    headers: { 'X-Api-Key': secrets.header },
    auth: { type: 'bearer', token: secrets.bearer },
  });
  expect(created.status).toBe(201);
  expect((await call(apiUrl, operator, 'DELETE', `/v1/accounts/${accountId}`)).status).toBe(202);
  await until(
    async () =>
      (
        await service.pool.query<{ count: number }>(
          `select count(*)::int as count from webhooks where account_id = $1
             and (sealed_headers is not null or sealed_auth is not null)`,
          [accountId],
        )
      ).rows[0]?.count,
    (count) => count === 0,
  );
});
