import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Certificate } from './raw-receiver.ts';

type Wanted = {
  commonName: string;
  /** Lines of OpenSSL's extension section. */
  extensions: readonly string[];
  /** Who signs it; itself unless given. */
  issuer?: Certificate;
  digest?: string;
};

/** A certificate as OpenSSL makes one, valid for a day from now. */
export function issueCertificate({ commonName, extensions, issuer, digest = 'sha256' }: Wanted): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'fltr-certificate-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = (name: string, content?: string): string => {
    const path = join(folder, name);
    if (content !== undefined) writeFileSync(path, content);
    return path;
  };
  const openssl = (...command: string[]) => execFileSync('openssl', command, { stdio: 'pipe' });
  const [key, request, cert] = [file('key'), file('request'), file('cert')];
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key);
  openssl('req', '-new', '-key', key, '-subj', `/CN=${commonName}`, '-out', request);
  const signer =
    issuer === undefined
      ? ['-signkey', key]
      : ['-CA', file('ca', issuer.cert), '-CAkey', file('ca-key', issuer.key), '-CAcreateserial'];
  const section = ['-extfile', file('extensions', extensions.join('\n')), `-${digest}`, '-days', '1'];
  openssl('x509', '-req', '-in', request, ...signer, ...section, '-out', cert);
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}

/** An authority; `more`: further extensions. */
export function issueAuthority(commonName: string, issuer?: Certificate, ...more: string[]): Certificate {
  const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=keyCertSign', ...more];
  return issueCertificate({ commonName, extensions, ...(issuer === undefined ? {} : { issuer }) });
}
