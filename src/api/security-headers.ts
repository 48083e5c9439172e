import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import helmet from 'helmet';

type Directives = Readonly<Record<string, readonly string[]>>;

/** Helmet's headers with this content security policy, as pairs. They are the same for every response, so they are made once. */
export function securityHeaders(directives: Directives): [string, string][] {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  helmet({
    contentSecurityPolicy: { useDefaults: false, directives },
    // This header cannot name a site, so it is left out where a site may show the page in a frame.
    xFrameOptions: directives['frameAncestors']?.[0] === "'none'" ? { action: 'deny' } : false,
    // The proxy terminates TLS for this host; its subdomains are not ours.
    strictTransportSecurity: { includeSubDomains: false },
  })(request, response, () => undefined);
  return Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)]);
}

/** A page loads from this service only. */
export const pageDirectives = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", 'data:'],
  fontSrc: ["'self'"],
  connectSrc: ["'self'"],
  baseUri: ["'none'"],
  formAction: ["'self'"],
  frameAncestors: ["'none'"],
} satisfies Directives;
