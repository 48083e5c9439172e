import type { Command } from 'commander';
import { indentJson } from '../client/raw-json.ts';
import { verify, WebhookVerificationError, type ReceivedWebhook } from '../client/verify.ts';
import { readConfig } from '../config.ts';
import { signatureKinds, type SignatureKind } from '../contracts/signature-kind.ts';
import { readText, readValue } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';
import { printable, printableJson } from './printable.ts';
import { listOf } from './text-output.ts';

type Options = {
  body: string;
  header: string[];
  secret?: string;
  publicKey?: string;
  headerPrefix?: string;
  signatures?: string;
  at?: string;
  toleranceSeconds: string;
  json?: boolean;
};
type Verdict = { signature: string; is_valid: boolean; code: string | null; detail: string | null };

/** `verify`: needs neither service nor network. */
export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .description(
      'verify the signatures of a received request; exit code 1 unless all that are needed are valid',
    )
    .requiredOption('--body <file>', 'the body exactly as received; - reads standard input')
    .requiredOption('--header <line>', "'name: value'; repeat for each header", collect, [])
    .option('--secret <secret>', "the webhook's secret, whsec_…; @file reads a file")
    .option(
      '--public-key <key>',
      'for v1a signatures, without --secret: the public key, whpk_…; @file reads a file',
    )
    .option('--header-prefix <prefix>', "the beginning of the sender's own headers (FLTR_HEADER_PREFIX)")
    .option('--signatures <list>', 'which are needed: fltr, standard or both (default: those that it has)')
    .option('--at <time>', 'time of receipt (default: now)')
    .option(
      '--tolerance-seconds <seconds>',
      'allowed difference between the signed time and the time of receipt',
      '300',
    )
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const body = await readText(options.body);
      const headers = Object.fromEntries(options.header.map(toHeader));
      const { headerPrefix = readConfig().FLTR_HEADER_PREFIX } = options;
      const request = { body, headers, ...(await keyOf(options)), headerPrefix, ...timesOf(options) };
      const verdicts = check(request, neededOf(options.signatures));
      const isValid = verdicts.every(({ is_valid }) => is_valid);
      console.log(
        options.json
          ? indentJson(printableJson({ is_valid: isValid, signatures: verdicts }))
          : verdicts.map(verdictText).join('\n'),
      );
      if (!isValid) process.exitCode = 1;
    });
}

async function keyOf({
  secret,
  publicKey,
  signatures = '',
}: Options): Promise<{ secret: string } | { publicKey: string }> {
  if (publicKey !== undefined && listOf(signatures).includes('fltr'))
    throw wrongUse('A public key verifies standard only: leave fltr out of --signatures.');
  if (secret !== undefined && publicKey === undefined) return { secret: await readValue(secret) };
  if (secret === undefined && publicKey !== undefined) return { publicKey: await readValue(publicKey) };
  throw wrongUse('Give either --secret or --public-key.');
}

const collect = (line: string, lines: string[]): string[] => [...lines, line];

function toHeader(line: string): [string, string] {
  const at = line.indexOf(':');
  if (at < 1) throw wrongUse(`--header must be 'name: value', not '${line}'.`);
  return [line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()];
}

function timesOf({ at, toleranceSeconds }: Options): { at: Date; toleranceSeconds: number } {
  const times = { at: new Date(at ?? Date.now()), toleranceSeconds: Number(toleranceSeconds) };
  if (Number.isNaN(times.at.getTime())) throw wrongUse('--at must be a time such as 2026-01-10T12:00:00Z.');
  if (!(times.toleranceSeconds >= 0)) throw wrongUse('--tolerance-seconds must be a number of seconds.');
  return times;
}

function neededOf(list: string | undefined): readonly SignatureKind[] | null {
  if (list === undefined) return null;
  const named = listOf(list);
  const needed = signatureKinds.filter((kind) => named.includes(kind));
  if (needed.length !== named.length || needed.length === 0)
    throw wrongUse(`--signatures must be fltr, standard or fltr,standard, not '${list}'.`);
  return needed;
}

type Request = ReceivedWebhook & { headers: Record<string, string>; headerPrefix: string };

/** Checks the signatures that are needed, else those that the request has; without any, all that the key verifies are reported as missing. */
function check(request: Request, needed: readonly SignatureKind[] | null): Verdict[] {
  const names = { fltr: `${request.headerPrefix}Signature`, standard: 'webhook-signature' };
  const verifiable = signatureKinds.filter((kind) => request.secret !== undefined || kind === 'standard');
  const present = verifiable.filter((kind) => request.headers[names[kind].toLowerCase()] !== undefined);
  const checked = needed ?? (present.length > 0 ? present : verifiable);
  return checked.map((kind) => {
    const signature = names[kind];
    try {
      verify({ ...request, signatures: [kind] });
      return { signature, is_valid: true, code: null, detail: null };
    } catch (error) {
      if (!(error instanceof WebhookVerificationError)) throw error;
      return { signature, is_valid: false, code: error.code, detail: error.message };
    }
  });
}

const verdictText = ({ signature, is_valid, detail }: Verdict): string =>
  is_valid ? `${signature}: valid` : printable(`${signature}: invalid. ${detail}`);
