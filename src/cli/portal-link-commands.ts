import { Option, type Command } from 'commander';
import type { z } from 'zod';
import { portalModes, type createPortalLinkSchema } from '../contracts/portal-link.ts';
import { apiCommand, callAndPrint, given } from './api-command.ts';
import { fields, listOf } from './text-output.ts';

type LinkOptions = {
  expiresSeconds?: number;
  scopes?: string;
  returnUrl?: string;
  accent?: string;
  mode?: (typeof portalModes)[number];
};

/** `portal-link create|delete`. */
export function addPortalLinkCommands(program: Command): void {
  const links = program
    .command('portal-link')
    .description("make and end one-time links to the dashboard's pages of one account");
  apiCommand(links, 'create', 'make a link; it opens once')
    .option('--expires-seconds <n>', 'how long it can be opened, 10 to 86400 (default: 900)', Number)
    .option(
      '--scopes <list>',
      'scopes of its session: webhooks:read, webhooks:write, events:write (default: the first two)',
    )
    .option('--return-url <url>', 'where its “Back to …” leads, an https URL')
    .option('--accent <color>', 'color of buttons and links, such as #0a7cff')
    .addOption(new Option('--mode <mode>', 'light or dark (default: auto)').choices(portalModes))
    .action(
      callAndPrint(
        (client, options: LinkOptions) => client.createPortalLink(toLink(options)),
        ({ id, url, expires_at: expires }) => fields({ id, url, expires }),
      ),
    );
  apiCommand(links, 'delete <id>', 'end a link and its session, effective immediately').action(
    callAndPrint(
      (client, id: string) => client.deletePortalLink(id).then(() => ({ ended: id })),
      ({ ended }) => `Ended ${ended}.`,
    ),
  );
}

function toLink(options: LinkOptions): z.input<typeof createPortalLinkSchema> {
  const { expiresSeconds, scopes, returnUrl, accent, mode } = options;
  const theme = given({ accent, mode });
  return given({
    expires_seconds: expiresSeconds,
    scopes: scopes === undefined ? undefined : listOf(scopes),
    return_url: returnUrl,
    theme: Object.keys(theme).length === 0 ? undefined : theme,
  }) as z.input<typeof createPortalLinkSchema>;
}
