import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { encryptionKeysFor } from '../../src/development-secrets.ts';

test('processes that start at once in an empty data folder agree on one key, and it is the kept one', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'fltr-secrets-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const config = readConfig({ FLTR_DATA_DIR: join(dataDir, 'new') });
  const found = await Promise.all(Array.from({ length: 20 }, () => encryptionKeysFor(config)));
  const kept = readFileSync(join(dataDir, 'new', 'encryption-key'), 'utf8').trim();
  expect(new Set(found.map(([first]) => first?.key.toString('base64')))).toEqual(new Set([kept]));
  expect(readdirSync(join(dataDir, 'new'))).toEqual(['encryption-key']);
});
