// Turns an export of your own table, one JSON object per line, into lines for `fltr-webhooks webhooks import`.
//
//   psql -At -c "select row_to_json(s) from subscriptions s" | node own.mjs text > webhooks.jsonl
//
// The argument is the encoding of the secrets: `text` (the bytes of the text itself), `hex` or `base64`. A secret that begins
// with whsec_ is kept unchanged. Adapt the names of the columns to yours.
import { createInterface } from 'node:readline';

const [encoding = 'text'] = process.argv.slice(2);
const encodings = { text: 'utf8', hex: 'hex', base64: 'base64' };
if (!Object.hasOwn(encodings, encoding)) {
  console.error('Usage: node own.mjs text|hex|base64 < export.jsonl');
  process.exit(2);
}

const toSecret = (secret) =>
  secret.startsWith('whsec_')
    ? secret
    : `whsec_${Buffer.from(secret, encodings[encoding]).toString('base64')}`;

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === '') continue;
  const { id, target_url, event_types, secret, name, enabled } = JSON.parse(line);
  const webhook = {
    external_id: String(id),
    url: target_url,
    events: event_types ?? ['*'],
    description: name ?? undefined,
    active: enabled ?? true,
    // The data alone. Other formats: docs/receiving.md.
    format: 'data',
    secret: secret ? toSecret(secret) : undefined,
  };
  console.log(JSON.stringify(webhook));
}
