// Writes the webhook destinations of a Hookdeck Outpost tenant as lines for `fltr-webhooks webhooks import`.
//
//   OUTPOST_URL=http://localhost:3333/api/v1 OUTPOST_API_KEY=… node outpost.mjs tenant_… > webhooks.jsonl
const { OUTPOST_URL: url, OUTPOST_API_KEY: key } = process.env;
const [tenant] = process.argv.slice(2);
if (!url || !key || !tenant) {
  console.error('Usage: OUTPOST_URL=… OUTPOST_API_KEY=… node outpost.mjs <tenant id>');
  process.exit(2);
}

const response = await fetch(`${url.replace(/\/$/, '')}/tenants/${encodeURIComponent(tenant)}/destinations`, {
  headers: { authorization: `Bearer ${key}`, accept: 'application/json' },
  signal: AbortSignal.timeout(30_000),
});
if (!response.ok) throw new Error(`Outpost responded with ${response.status}`);

for (const {
  id,
  type,
  topics,
  config,
  credentials,
  disabled_at,
  metadata,
  ...more
} of await response.json()) {
  if (type !== 'webhook') {
    console.error(`${id}: a destination of the type ${type} is no webhook`);
    continue;
  }
  const webhook = {
    external_id: id,
    url: config.url,
    events: topics === '*' || topics.includes('*') ? ['*'] : topics,
    active: !disabled_at,
    // Outpost sends the data alone.
    format: 'data',
    metadata: metadata ?? undefined,
    secret: credentials.secret,
  };
  console.log(JSON.stringify(webhook));
  const notMoved = [
    ...['filter', 'delivery_metadata'].filter((name) => Object.keys(more[name] ?? {}).length > 0),
    ...(config.custom_headers ? ['custom_headers'] : []),
    ...(credentials.previous_secret ? ['previous_secret'] : []),
  ];
  if (notMoved.length > 0) console.error(`${id}: ${notMoved.join(', ')} not moved`);
}
