/** The part of the npm package that tests use; it has no types of its own. */
declare module 'oidc-provider' {
  import type { RequestListener } from 'node:http';

  type AccessToken = { isValid: boolean; clientId: string; scope?: string };

  export class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>);
    callback(): RequestListener;
    ClientCredentials: { find(token: string): Promise<AccessToken | undefined> };
  }
}
