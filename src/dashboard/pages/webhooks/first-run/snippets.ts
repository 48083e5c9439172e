/** One way to do a step, in one language. */
export type Snippet = { language: string; text: string };

/** In a POSIX shell. @example quoted("it's") // "'it'\\''s'" */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

const examplePaths = ['/webhooks/fltr', '/webhooks/standard'];
const examplePort = '5000';

/** Stands for a secret that is not shown. */
export const hiddenSecret = 'whsec_…';

/**
 * The commands that start an example receiver for a webhook, to be run in the folder of the project. Null where no example
 * listens at this URL.
 */
export function receiverSnippets(url: string, secret: string): Snippet[] | null {
  const { protocol, hostname, port, pathname } = new URL(url);
  const isLocal = ['localhost', '127.0.0.1'].includes(hostname);
  if (!isLocal || protocol !== 'http:' || port === '' || !examplePaths.includes(pathname)) return null;
  const variables = `${port === examplePort ? '' : `PORT=${port} `}WEBHOOK_SECRET=${quoted(secret)}`;
  return [
    { language: 'Node', text: `${variables} node examples/express/server.mjs` },
    {
      language: 'Python',
      text: `cd examples/flask && python3 -m venv .venv && .venv/bin/pip install --quiet -r requirements.txt && ${variables} .venv/bin/python app.py`,
    },
    { language: 'Go', text: `cd examples/go && ${variables} go run .` },
  ];
}

/** Stands for an API key. */
export const keyPlaceholder = 'YOUR_API_KEY';

type Publishing = { origin: string; apiKey: string; event: string; data: unknown };

/** Programs that publish an event. */
export function publishSnippets({ origin, apiKey, event, data }: Publishing): Snippet[] {
  const url = `${origin}/v1/events`;
  const body = JSON.stringify({ event, data }, null, 2);
  const indented = body.replaceAll('\n', '\n  ');
  return [
    {
      language: 'curl',
      text: `curl -X POST ${quoted(url)} \\
  -H ${quoted(`Authorization: Bearer ${apiKey}`)} \\
  -H 'Content-Type: application/json' \\
  -d ${quoted(body)}`,
    },
    {
      language: 'TypeScript',
      text: `const response = await fetch(${JSON.stringify(url)}, {
  method: 'POST',
  headers: { Authorization: 'Bearer ${apiKey}', 'Content-Type': 'application/json' },
  body: JSON.stringify(${indented}),
});
console.log(response.status, await response.json());`,
    },
    {
      language: 'Python',
      text: `import json, urllib.request

event = json.loads(r'''${body.replaceAll("'", String.raw`\u0027`)}''')
request = urllib.request.Request(
    ${JSON.stringify(url)},
    data=json.dumps(event).encode(),
    headers={"Authorization": "Bearer ${apiKey}", "Content-Type": "application/json"},
)
with urllib.request.urlopen(request) as response:
    print(response.status, response.read().decode())`,
    },
  ];
}
