import type { App } from '../app.ts';

/** Printed after `npm start`: the addresses, the key, and a curl line to paste. */
export function banner(app: App): string {
  const { apiUrl, databaseUrl, temporalAddress, temporalUiUrl, developmentKey, signInUrl } = app;
  const lines = [
    '',
    'FLTR webhooks is ready.',
    '',
    `  Dashboard    ${signInUrl ?? '(not in this process)'}`,
    `  API          ${apiUrl ?? '(not in this process)'}`,
    `  Node         ${process.versions.node}`,
    `  PostgreSQL   ${databaseUrl}`,
    `  Temporal     ${temporalAddress} (gRPC)`,
    `  Web UI       ${temporalUiUrl ?? '(TEMPORAL_UI_URL is not set)'}`,
    `  API key      ${developmentKey ?? '(create one with: fltr-webhooks keys create)'}`,
  ];
  if (apiUrl !== null && developmentKey !== null) {
    lines.push(
      '',
      'Create a webhook for a receiver on port 5000:',
      '',
      `curl -X POST ${apiUrl}/v1/webhooks \\`,
      `  -H "Authorization: Bearer ${developmentKey}" \\`,
      '  -H "Content-Type: application/json" \\',
      `  -d '{"url": "http://localhost:5000/webhooks/fltr", "events": ["*"]}'`,
    );
  }
  return `${lines.join('\n')}\n`;
}
