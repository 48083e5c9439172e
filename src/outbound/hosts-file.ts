import type { LookupAddress } from 'node:dns';
import { closeSync, openSync, readSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { watchFile } from './file-watch.ts';

/** About 30,000 lines. Reading them and searching in them blocks the process for milliseconds; a larger file is cut here. */
const maxBytes = 1024 * 1024;

export const systemHostsPath =
  process.platform === 'win32'
    ? join(process.env['SystemRoot'] ?? 'C:\\Windows', 'System32/drivers/etc/hosts')
    : '/etc/hosts';

/**
 * Finds a host name (lower case, without a dot at its end) in a hosts file; undefined: it is not in there. The file is
 * read again when it has changed; of a larger one the first MiB counts. One that cannot be read counts as empty.
 * Source: hosts(5).
 *
 * @example createHostsFile('/etc/hosts')('localhost') // [{ address: '127.0.0.1', family: 4 }]
 */
export function createHostsFile(path: string): (name: string) => readonly LookupAddress[] | undefined {
  const hasChanged = watchFile(path);
  let text = '';
  return (name) => {
    if (hasChanged()) text = `\n${readBegin(path).toLowerCase()}\n`;
    const found = findIn(text, name);
    return found.length === 0 ? undefined : found;
  };
}

/** Searched as text: to parse a large file would block the process for longer than all its lookups do. */
function findIn(text: string, name: string): LookupAddress[] {
  const found: LookupAddress[] = [];
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + 1)) {
    if (!/\s/.test(text.charAt(at - 1)) || !/[\s.#]/.test(text.charAt(at + name.length))) continue;
    const line = text.slice(text.lastIndexOf('\n', at) + 1, text.indexOf('\n', at));
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIP(address);
    // An address with a zone (`fe80::1%lo0`) is of this link only, where no webhook may go.
    const isUsable = family !== 0 && !address.includes('%');
    const isNamed = names.some((each) => each === name || each === `${name}.`);
    if (!isUsable || !isNamed || found.some((each) => each.address === address)) continue;
    found.push({ address, family });
  }
  return found;
}

function readBegin(path: string): string {
  try {
    const file = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(maxBytes);
      let length = 0;
      for (let read = -1; read !== 0 && length < maxBytes; length += read) {
        read = readSync(file, bytes, length, maxBytes - length, null);
      }
      const text = bytes.toString('utf8', 0, length);
      // A line that was cut could name another host.
      return length < maxBytes ? text : text.slice(0, text.lastIndexOf('\n') + 1);
    } finally {
      closeSync(file);
    }
  } catch {
    return '';
  }
}
