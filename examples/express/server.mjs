// A receiver of FLTR webhooks: verify, respond at once, then process each event once.
import { createHmac, timingSafeEqual } from 'node:crypto';
import express from 'express';

const secret = process.env.WEBHOOK_SECRET ?? '';
if (!secret.startsWith('whsec_')) {
  console.error("Set WEBHOOK_SECRET to the webhook's secret: whsec_…");
  process.exit(1);
}
const port = Number(process.env.PORT ?? 5000);

const toleranceSeconds = 5 * 60;
const rememberedIds = 10_000;
const maxWaiting = 1_000;

/** Compares in constant time; only the length, which is no secret, can be measured. */
function isEqual(expected, given) {
  const a = Buffer.from(expected);
  const b = Buffer.from(given);
  return a.length === b.length && timingSafeEqual(a, b);
}

/** X-FLTR-Signature: hex HMAC-SHA256 of the body, keyed with the whole secret, `whsec_` included. */
function verifySignature(request) {
  const expected = createHmac('sha256', secret).update(request.body).digest('hex');
  return isEqual(expected, request.get('X-FLTR-Signature') ?? '');
}

/**
 * Standard Webhooks: base64 HMAC-SHA256 of `id.timestamp.body`, keyed with the bytes that the base64 after `whsec_`
 * stands for. `npm install standardwebhooks` does the same. The time is signed too, so an old request is refused.
 */
function verifyStandard(request) {
  const id = request.get('webhook-id') ?? '';
  const timestamp = request.get('webhook-timestamp') ?? '';
  if (!/^\d+$/.test(timestamp)) return false;
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > toleranceSeconds) return false;
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const hmac = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(request.body);
  const expected = `v1,${hmac.digest('base64')}`;
  // A list: during a rotation's overlap, it has a signature of each secret.
  const signatures = (request.get('webhook-signature') ?? '').split(' ');
  return signatures.some((signature) => isEqual(expected, signature));
}

const waiting = [];
const processed = new Set();
let isWorking = false;

/** One at a time, so that looking up an id and remembering it cannot race. */
async function work() {
  if (isWorking) return;
  isWorking = true;
  for (let event = waiting.shift(); event !== undefined; event = waiting.shift()) {
    const name = `${event.event} ${event.id}`;
    if (processed.has(event.id)) {
      console.log(`${name} duplicate, ignored`);
      continue;
    }
    try {
      await processEvent(event);
    } catch (error) {
      console.log(`${name} could not be processed:`, error);
      continue;
    }
    processed.add(event.id);
    if (processed.size > rememberedIds) processed.delete(processed.values().next().value);
    console.log(`${name} processed`);
  }
  isWorking = false;
}

/** Your logic. `GET /v1/event-types` shows the fields of `event.data` for each type. */
async function processEvent(event) {
  switch (event.event) {
    case 'document.processed':
      break;
    case 'document.processing_failed':
      break;
  }
}

function parseEvent(body) {
  try {
    const event = JSON.parse(body);
    return typeof event.id === 'string' && typeof event.event === 'string' ? event : null;
  } catch {
    return null;
  }
}

/** Responds when `verify` has accepted the request, and processes the event afterwards. */
function receive(verify) {
  return (request, response) => {
    // Without a body the parser leaves it undefined.
    request.body ??= Buffer.alloc(0);
    if (!verify(request)) return response.status(401).json({ error: 'Invalid signature' });
    const event = parseEvent(request.body);
    if (!event) return response.status(400).json({ error: 'Not an event' });
    // A 5xx is retried later, a 4xx is not.
    if (waiting.length >= maxWaiting) return response.status(503).json({ error: 'Busy' });
    waiting.push(event);
    setImmediate(() => void work());
    return response.json({ received: true });
  };
}

const app = express();
// The raw bytes, with any content type: JSON that was parsed and written again has another signature.
app.use(express.raw({ type: () => true, limit: '1mb' }));
app.post('/webhooks/fltr', receive(verifySignature));
app.post('/webhooks/standard', receive(verifyStandard));
app.listen(port, '127.0.0.1', (error) => {
  if (error) throw error;
  console.log(`Listening on http://127.0.0.1:${port}/webhooks/fltr`);
});
