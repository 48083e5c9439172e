import type { Command } from 'commander';
import type { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { type JsonText, withMembers } from '../client/raw-json.ts';
import { maxBatchBytes, maxBatchEvents } from '../contracts/event.ts';
import { apiCommand, connect, print, readText, type ApiOptions } from './api-command.ts';
import { toPublishOptions, withPublishOptions, type PublishOptions } from './event-options.ts';
import { wrongUse } from './exit-codes.ts';
import { printable } from './printable.ts';

type Results = Awaited<ReturnType<FltrWebhooks['publishEvents']>>['data'];

/** `events send-batch`: publishes the events of a file in as few requests as the API allows. */
export function addSendBatchCommand(events: Command): void {
  withPublishOptions(
    apiCommand(
      events,
      'send-batch <file>',
      'publish the events of a file, one JSON object per line: {"event": …, "data": …, "id"?: …}; - reads standard input',
    ),
  ).action(async (file: string, options: ApiOptions & PublishOptions) => {
    const batches = toBatches((await readText(file)).toString(), toPublishOptions(options));
    const { client } = await connect(options);
    const results: Results = [];
    for (const batch of batches) results.push(...(await client.publishEvents(batch)).data);
    print(options, { data: results }, () => resultsText(results));
    if (results.some(({ status }) => status !== 202)) process.exitCode = 1;
  });
}

/** `defaults`: of the events that do not say it themselves. */
function toBatches(text: string, defaults: object): JsonText[][] {
  const batches: JsonText[][] = [];
  let bytes = 0;
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const event = parse(line, index + 1, defaults);
    const last = batches.at(-1);
    // Half of the limit, because an id may be added to each event.
    bytes += Buffer.byteLength(event.text);
    if (last === undefined || last.length === maxBatchEvents || bytes > maxBatchBytes / 2) {
      batches.push([event]);
      bytes = Buffer.byteLength(event.text);
    } else last.push(event);
  }
  if (batches.length === 0) throw wrongUse('The file has no events. Write one JSON object per line.');
  return batches;
}

/** The API validates the rest. */
function parse(line: string, number: number, defaults: object): JsonText {
  try {
    const event: unknown = JSON.parse(line);
    if (typeof event === 'object' && event !== null && !Array.isArray(event))
      return withMembers(line, defaults);
  } catch {
    // Reported below.
  }
  throw wrongUse(`Line ${number} is not a JSON object.`);
}

function resultsText(results: Results): string {
  const faults = results.flatMap((result, index) =>
    'error' in result
      ? [printable(`Event ${index + 1}: ${result.status} ${result.error.detail ?? result.error.title}`)]
      : [],
  );
  const accepted = results.filter((result) => !('error' in result));
  const duplicates = accepted.filter((result) => 'duplicate' in result && result.duplicate).length;
  const note = duplicates === 0 ? '' : `, ${duplicates} of them duplicates`;
  return [`${accepted.length} of ${results.length} accepted${note}.`, ...faults].join('\n');
}
