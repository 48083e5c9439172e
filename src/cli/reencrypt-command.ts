import type { Command } from 'commander';
import { checkEncryptionKeys } from '../db/encryption-keys.ts';
import { migrate } from '../db/migrate.ts';
import { reencrypt } from '../db/reencrypt-secrets.ts';
import { encryptionKeysFor } from '../development-secrets.ts';
import { createSecretBox } from '../security/secret-box.ts';
import { actor, type WithDatabase } from './admin-commands.ts';

/** `reencrypt`: all that is encrypted, under the first of FLTR_ENCRYPTION_KEYS. */
export function addReencryptCommand(program: Command, withDatabase: WithDatabase): void {
  program
    .command('reencrypt')
    .description('encrypt everything anew under the first of FLTR_ENCRYPTION_KEYS; the others may go then')
    .action(() =>
      withDatabase(async (pool, config) => {
        await migrate(pool);
        const secretBox = createSecretBox(await encryptionKeysFor(config));
        await checkEncryptionKeys(pool, secretBox);
        const { secrets, previousSecrets, responses, removedKeys } = await reencrypt(pool, secretBox, actor);
        const { currentKeyId } = secretBox;
        console.log(
          `Under "${currentKeyId}" now: webhook secrets: ${secrets}, previous secrets: ${previousSecrets}, stored responses: ${responses}.`,
        );
        if (removedKeys.length > 0) console.log(`Removed: ${removedKeys.join(', ')}.`);
        console.log(`From now on FLTR_ENCRYPTION_KEYS needs "${currentKeyId}" alone.`);
      }),
    );
}
