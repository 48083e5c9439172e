import type { Config } from '../config.ts';
import { ApiError } from '../errors.ts';

/** Where browsers reach the service. @throws ApiError bad_request */
export function publicOrigin(
  { FLTR_PUBLIC_URL, FLTR_ENV }: Pick<Config, 'FLTR_PUBLIC_URL' | 'FLTR_ENV'>,
  host: string | undefined,
): string {
  if (FLTR_PUBLIC_URL !== undefined) return FLTR_PUBLIC_URL;
  const url = `${FLTR_ENV === 'production' ? 'https' : 'http'}://${host}`;
  if (host === undefined || !/^[\w.:[\]-]+$/.test(host) || !URL.canParse(url))
    throw new ApiError('bad_request', 'The Host header is missing or no host. Set FLTR_PUBLIC_URL.');
  return new URL(url).origin;
}
