import type { Command } from 'commander';
import { verify, verifyBody, WebhookVerificationError } from '../client/verify.ts';
import { readText } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';
import { printable, printableJson } from './printable.ts';

type Options = {
  body: string;
  header: string[];
  secret: string;
  at?: string;
  toleranceSeconds: string;
  json?: boolean;
};
type Verdict = { signature: string; is_valid: boolean; code: string | null; detail: string | null };

/** `verify`: whether a request that was received is genuine, and if not, why. It needs neither service nor network. */
export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .description("check a received request's signatures: exit code 0 where all that it has are right, else 1")
    .requiredOption('--body <file>', "the body's bytes as they came; - reads standard input")
    .requiredOption('--header <line>', "'name: value', once for each header", collect, [])
    .requiredOption('--secret <secret>', "the webhook's: whsec_…; @file reads a file")
    .option('--at <time>', 'when it was received; left out: now')
    .option('--tolerance-seconds <seconds>', 'how far the signed time may be from that', '300')
    .option('--json', 'for programs')
    .action(async (options: Options) => {
      const body = await readText(options.body);
      const headers = Object.fromEntries(options.header.map(toHeader));
      const secret = options.secret.startsWith('@')
        ? (await readText(options.secret.slice(1))).toString().trim()
        : options.secret;
      const verdicts = judge({ body, headers, secret, ...timesOf(options) });
      const isValid = verdicts.every(({ is_valid }) => is_valid);
      console.log(
        options.json
          ? printableJson({ is_valid: isValid, signatures: verdicts }, 2)
          : verdicts.map(say).join('\n'),
      );
      if (!isValid) process.exitCode = 1;
    });
}

const collect = (line: string, all: string[]): string[] => [...all, line];

function toHeader(line: string): [string, string] {
  const at = line.indexOf(':');
  if (at < 1) throw wrongUse(`--header must be 'name: value', not '${line}'.`);
  return [line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()];
}

function timesOf({ at, toleranceSeconds }: Options): { at: Date; toleranceSeconds: number } {
  const times = {
    at: at === undefined ? new Date() : new Date(at),
    toleranceSeconds: Number(toleranceSeconds),
  };
  if (Number.isNaN(times.at.getTime())) throw wrongUse('--at must be a time like 2026-01-10T12:00:00Z.');
  if (!(times.toleranceSeconds >= 0)) throw wrongUse('--tolerance-seconds must be a number of seconds.');
  return times;
}

/** Each of the two signatures that the request has; one that has none is judged as if it had both. */
function judge(request: Parameters<typeof verify>[0] & { headers: Record<string, string> }): Verdict[] {
  const { headers } = request;
  const hasBody = headers['x-fltr-signature'] !== undefined;
  const hasStandard = headers['webhook-signature'] !== undefined;
  const checks = [
    { signature: 'X-FLTR-Signature', isMeant: hasBody || !hasStandard, check: () => verifyBody(request) },
    { signature: 'webhook-signature', isMeant: hasStandard || !hasBody, check: () => verify(request) },
  ];
  return checks
    .filter(({ isMeant }) => isMeant)
    .map(({ signature, check }) => {
      try {
        check();
        return { signature, is_valid: true, code: null, detail: null };
      } catch (error) {
        if (!(error instanceof WebhookVerificationError)) throw error;
        return { signature, is_valid: false, code: error.code, detail: error.message };
      }
    });
}

const say = ({ signature, is_valid, detail }: Verdict): string =>
  is_valid ? `${signature}: yes` : printable(`${signature}: no. ${detail}`);
