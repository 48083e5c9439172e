import type { Command } from 'commander';
import { checkEncryptionKeys } from '../db/encryption-keys.ts';
import { migrate } from '../db/migrate.ts';
import { reencrypt } from '../db/reencrypt-secrets.ts';
import { encryptionKeysFor } from '../development-secrets.ts';
import { createPayloadBox } from '../security/payload-box.ts';
import { createSecretBox } from '../security/secret-box.ts';
import { actor, type WithDatabase } from './admin-commands.ts';

export function addReencryptCommand(program: Command, withDatabase: WithDatabase): void {
  program
    .command('reencrypt')
    .description(
      're-encrypt all data with the first of FLTR_ENCRYPTION_KEYS, so that the others can be removed',
    )
    .action(() =>
      withDatabase(async (pool, config) => {
        await migrate(pool);
        const keys = await encryptionKeysFor(config);
        const secretBox = createSecretBox(keys);
        const payloadBox = createPayloadBox(keys, config.FLTR_ENCRYPT_PAYLOADS);
        await checkEncryptionKeys(pool, secretBox);
        const done = await reencrypt(pool, secretBox, payloadBox, actor);
        const { secrets, previousSecrets, responses, eventBodies, receiverResponses, removedKeys } = done;
        const { currentKeyId } = secretBox;
        console.log(
          `Re-encrypted with "${currentKeyId}": ${secrets} webhook secrets, ${previousSecrets} previous secrets, ${responses} stored responses.`,
        );
        if (eventBodies + receiverResponses > 0)
          console.log(
            `Payloads: ${eventBodies} bodies of events, ${receiverResponses} responses of receivers.`,
          );
        if (removedKeys.length > 0) console.log(`Removed keys: ${removedKeys.join(', ')}.`);
        console.log(`FLTR_ENCRYPTION_KEYS now only needs "${currentKeyId}".`);
      }),
    );
}
