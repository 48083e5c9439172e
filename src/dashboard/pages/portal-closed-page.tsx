import { useEffect } from 'react';
import { Brand } from '../components/brand.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { isInFrame, notifyLinkNeeded } from '../portal.ts';
import { portalClosedBecause } from '../session-api.ts';

/** In place of the sign-in page: a portal is opened by a link, which works once. */
export function PortalClosedPage() {
  useEffect(notifyLinkNeeded, []);
  return (
    <main className="standalone">
      <PageHeader
        eyebrow={
          <span className="brand">
            <Brand />
          </span>
        }
        title="This page needs a new link"
      />
      <div role="alert" className="notice">
        <p>{portalClosedBecause()}</p>
      </div>
      <p>
        {isInFrame
          ? 'Reload the page around this one. It makes a new link each time.'
          : 'Go back to the page that brought you here, and open it from there again. It makes a new link each time.'}
      </p>
    </main>
  );
}
