/** The pages below `/portal` are those of one account, for a person who came by a link. */
export const isPortal = /^\/portal(\/|$)/.test(location.pathname);

/**
 * In a frame of another site a browser keeps no cookie of the service and stores nothing, so the session's token is in memory.
 * It ends with the page.
 */
export const isInFrame = window.self !== window.top;

/**
 * Notifies the page around the frame that the portal needs a new link. The content security policy has checked who that page
 * is, and the message holds nothing that is secret.
 */
export function notifyLinkNeeded(): void {
  if (isInFrame) window.parent.postMessage({ type: 'fltr-portal.link-needed' }, '*');
}

/** The link's token, which then leaves the address. It is in the fragment, which a browser sends to nobody. */
function readLinkToken(): string | null {
  const [, token] = /^#token=(.+)$/.exec(location.hash) ?? [];
  if (!isPortal || token === undefined) return null;
  history.replaceState(history.state, '', location.pathname + location.search);
  return token;
}

export const linkToken = readLinkToken();
