import type { Command } from 'commander';
import { indentJson } from '../client/raw-json.ts';
import { verify, verifyBody, WebhookVerificationError } from '../client/verify.ts';
import { readText, readValue } from './api-command.ts';
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

/** `verify`: needs neither service nor network. */
export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .description('verify the signatures of a received request; exit code 1 unless all are valid')
    .requiredOption('--body <file>', 'the body exactly as received; - reads standard input')
    .requiredOption('--header <line>', "'name: value'; repeat for each header", collect, [])
    .requiredOption('--secret <secret>', "the webhook's secret, whsec_…; @file reads a file")
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
      const secret = await readValue(options.secret);
      const verdicts = check({ body, headers, secret, ...timesOf(options) });
      const isValid = verdicts.every(({ is_valid }) => is_valid);
      console.log(
        options.json
          ? indentJson(printableJson({ is_valid: isValid, signatures: verdicts }))
          : verdicts.map(verdictText).join('\n'),
      );
      if (!isValid) process.exitCode = 1;
    });
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

/** Checks the signatures that the request has; without any, both are reported as missing. */
function check(request: Parameters<typeof verify>[0] & { headers: Record<string, string> }): Verdict[] {
  const { headers } = request;
  const hasBody = headers['x-fltr-signature'] !== undefined;
  const hasStandard = headers['webhook-signature'] !== undefined;
  const checks = [
    { signature: 'X-FLTR-Signature', isChecked: hasBody || !hasStandard, run: () => verifyBody(request) },
    { signature: 'webhook-signature', isChecked: hasStandard || !hasBody, run: () => verify(request) },
  ];
  return checks
    .filter(({ isChecked }) => isChecked)
    .map(({ signature, run }) => {
      try {
        run();
        return { signature, is_valid: true, code: null, detail: null };
      } catch (error) {
        if (!(error instanceof WebhookVerificationError)) throw error;
        return { signature, is_valid: false, code: error.code, detail: error.message };
      }
    });
}

const verdictText = ({ signature, is_valid, detail }: Verdict): string =>
  is_valid ? `${signature}: valid` : printable(`${signature}: invalid. ${detail}`);
