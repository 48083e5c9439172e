import { call, type ApiResponse, type Service } from './service.ts';

export type PortalLink = { id: string; url: string; expires_at: string };
type Session = {
  account_id: string;
  account_name: string;
  key_id: string;
  scopes: string[];
  expires_at: string;
  portal: { accent: string | null; mode: string; return_url: string | null } | null;
  session_token?: string;
};
type Problem = { code: string; detail: string; errors?: { pointer: string; message: string }[] };
export type PortalBody = PortalLink & Session & Problem;

/** The header that the service's own pages send along. */
export const ownPage = { 'x-fltr-dashboard': '1' };

export const tokenOf = ({ url }: Pick<PortalLink, 'url'>) => new URL(url).hash.replace('#token=', '');
export const outcome = ({ status, body }: ApiResponse<{ code: string }>) => [status, body.code];

/** Portal links and sessions of a service, by HTTP; `current` is read at each call. */
export function portalCalls(current: () => Service) {
  const as = <T = PortalBody>(
    key: string | null,
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ) => call<T>(current().apiUrl, key, method, path, body, headers);
  const create = (body?: unknown, key = current().key) => as(key, 'POST', '/v1/portal-links', body);
  const open = (link: Pick<PortalLink, 'url'>, inFrame = true, headers: Record<string, string> = ownPage) =>
    as(null, 'POST', '/session', { portal_token: tokenOf(link), in_frame: inFrame }, headers);
  return {
    as,
    create,
    open,
    /** A new session in a frame, as its token. */
    async openNew(body?: unknown, key?: string): Promise<{ id: string; token: string }> {
      const link = await create(body, key);
      const session = await open(link.body);
      return { id: link.body.id, token: session.body.session_token ?? '' };
    },
  };
}
