// Writes the endpoints of a Svix application as lines for `fltr-webhooks webhooks import`.
//
//   SVIX_TOKEN=… node svix.mjs app_… > webhooks.jsonl
//
// SVIX_URL is another server than https://api.svix.com, such as that of your region.
const { SVIX_TOKEN: token, SVIX_URL: url = 'https://api.svix.com' } = process.env;
const [app] = process.argv.slice(2);
if (!token || !app) {
  console.error('Usage: SVIX_TOKEN=… node svix.mjs <app id or uid>');
  process.exit(2);
}

async function get(path) {
  const response = await fetch(new URL(`/api/v1/app/${encodeURIComponent(app)}/endpoint${path}`, url), {
    headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) throw new Error(`Svix responded with ${response.status} to the endpoints${path}`);
  return response.json();
}

let iterator = '';
for (;;) {
  const page = await get(`?limit=100${iterator === '' ? '' : `&iterator=${encodeURIComponent(iterator)}`}`);
  for (const endpoint of page.data) await write(endpoint);
  if (page.done) break;
  iterator = page.iterator;
}

async function write({ id, uid, url: target, description, filterTypes, disabled, metadata, ...more }) {
  const { key } = await get(`/${encodeURIComponent(id)}/secret`);
  const webhook = {
    external_id: uid ?? id,
    url: target,
    // Without a filter, Svix sends every type.
    events: filterTypes?.length > 0 ? filterTypes : ['*'],
    description: description || undefined,
    active: disabled !== true,
    // Svix sends the payload alone.
    format: 'data',
    metadata,
    secret: key,
  };
  console.log(JSON.stringify(webhook));
  const notMoved = ['channels', 'rateLimit', 'throttleRate'].filter((name) => (more[name] ?? null) !== null);
  if (notMoved.length > 0) console.error(`${webhook.external_id}: ${notMoved.join(', ')} not moved`);
}
