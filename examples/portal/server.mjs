// A site that shows the webhooks portal in its own page: it makes a link with its key, and the page opens it in a frame.
import express from 'express';

const apiKey = process.env.FLTR_API_KEY ?? '';
if (apiKey === '') {
  console.error('Set FLTR_API_KEY to a key with the scopes webhooks:read and webhooks:write.');
  process.exit(1);
}
const apiUrl = process.env.FLTR_API_URL ?? 'http://127.0.0.1:3000';
const port = Number(process.env.PORT ?? 5001);
const site = `http://localhost:${port}`;

const app = express();

app.get('/', (_request, response) => {
  response.sendFile('page.html', { root: import.meta.dirname });
});

/**
 * The key stays here; the browser gets the link, which opens once. In a real site this needs a signed-in user, whose account
 * decides which account's link is made.
 */
app.post('/portal-link', async (_request, response, next) => {
  try {
    const made = await fetch(`${apiUrl}/v1/portal-links`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        expires_seconds: 60,
        return_url: `${site}/`,
        theme: { accent: '#0b7a5f', mode: 'light' },
      }),
      signal: AbortSignal.timeout(10_000),
    });
    if (!made.ok) throw new Error(`The service responded with ${made.status}: ${await made.text()}`);
    const { url } = await made.json();
    response.set('cache-control', 'no-store').json({ url });
  } catch (error) {
    next(error);
  }
});

app.listen(port, '127.0.0.1', (error) => {
  if (error) throw error;
  console.log(`Open ${site}`);
});
