import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { createSend } from '../client/request.ts';
import type { SignInLink } from '../contracts/session.ts';
import { apiCommand, connect, print, type ApiOptions } from './api-command.ts';

/** `open`: a link that signs in to the dashboard, once. */
export function addOpenCommand(program: Command): void {
  apiCommand(
    program,
    'open',
    'print a link that signs in to the dashboard with this key, once, within 10 minutes',
  )
    .option('--browser', 'open it in the browser, too')
    .action(async (options: ApiOptions & { browser?: true }) => {
      const { options: connection } = await connect(options);
      const send = createSend(connection);
      const call = { method: 'POST', path: '/session/link', isRepeatable: true } as const;
      const link = (await send(call)) as SignInLink;
      print(options, link, ({ url }) => url);
      if (options.browser) await openInBrowser(link.url);
    });
}

const openers: Partial<Record<NodeJS.Platform, [command: string, ...args: string[]]>> = {
  darwin: ['open'],
  // `start` would read the URL as a command line.
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};

/** @throws Error that advises to open the link by hand */
async function openInBrowser(url: string): Promise<void> {
  const [command, ...args] = openers[process.platform] ?? ['xdg-open'];
  try {
    await promisify(execFile)(command, [...args, url], { timeout: 10_000 });
  } catch {
    throw new Error(`${command} could not open a browser. Open the link above yourself.`);
  }
}
