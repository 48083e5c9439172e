import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  parseSearchWith,
  redirect,
  stringifySearchWith,
} from '@tanstack/react-router';
import { z } from 'zod';
import { FltrWebhooksError } from '../client/request.ts';
import { actingFor, pagesPath } from './acting.ts';
import { Layout } from './components/layout.tsx';
import { NotFoundPage, PageError } from './components/page-error.tsx';
import { statsRanges } from '../contracts/stats-ranges.ts';
import { eventSearchSchema } from './event-search.ts';
import { logSearchSchema } from './log-search.ts';
import { AlertsPage } from './pages/alerts-page.tsx';
import { auditSearchSchema } from './audit-search.ts';
import { AuditPage } from './pages/audit-page.tsx';
import { AccountPage } from './pages/account-page.tsx';
import { AccountsPage } from './pages/accounts-page.tsx';
import { DeliveryPage } from './pages/delivery-page.tsx';
import { EventPage } from './pages/event-page.tsx';
import { EventTypePage } from './pages/event-type-page.tsx';
import { EventTypesPage } from './pages/event-types-page.tsx';
import { EventsPage } from './pages/events-page.tsx';
import { KeysPage } from './pages/keys-page.tsx';
import { LogPage } from './pages/log-page.tsx';
import { NewWebhookPage } from './pages/new-webhook-page.tsx';
import { OperationPage } from './pages/operation-page.tsx';
import { OperationsPage } from './pages/operations-page.tsx';
import { PortalClosedPage } from './pages/portal-closed-page.tsx';
import { SendEventPage } from './pages/send-event-page.tsx';
import { SettingsPage } from './pages/settings-page.tsx';
import { SignInPage } from './pages/sign-in-page.tsx';
import { WebhookPage } from './pages/webhook-page.tsx';
import { WebhooksPage } from './pages/webhooks-page.tsx';
import { isInFrame, isPortal } from './portal.ts';
import { sessionQuery } from './queries.ts';
import { webhookStates } from './webhook-state.ts';

const root = createRootRouteWithContext<{ queryClient: QueryClient }>()({
  errorComponent: PageError,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  // A path on this host only.
  validateSearch: z.object({
    next: z
      .string()
      .regex(/^\/(?![/\\])/)
      .optional()
      .catch(undefined),
  }),
  component: isPortal ? PortalClosedPage : SignInPage,
});

const signedIn = createRoute({
  getParentRoute: () => root,
  id: 'signed-in',
  component: Layout,
  errorComponent: PageError,
  async beforeLoad({ context, location }) {
    try {
      const session = await context.queryClient.ensureQueryData(sessionQuery);
      const { portal } = session;
      if (portal !== null && !isPortal) throw redirect({ href: '/portal', reloadDocument: true });
      if (session.account_id === null && !/^\/(accounts|settings)(\/|$)/.test(location.pathname))
        throw redirect({ to: '/accounts', replace: true });
    } catch (error) {
      if (!(error instanceof FltrWebhooksError) || error.status !== 401) throw error;
      throw redirect({ to: '/sign-in', search: location.href === '/' ? {} : { next: location.href } });
    }
  },
});

const page = <Path extends string>(path: Path, component: () => React.ReactNode) =>
  createRoute({ getParentRoute: () => signedIn, path, component });

const home = createRoute({
  getParentRoute: () => signedIn,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/webhooks', replace: true });
  },
});
/** Of the statistics; left out: 24 hours. */
const range = z.enum(statsRanges).optional().catch(undefined);
const webhooks = createRoute({
  getParentRoute: () => signedIn,
  path: '/webhooks',
  validateSearch: z.object({
    filter: z.coerce.string().optional().catch(undefined),
    state: z.enum(webhookStates).optional().catch(undefined),
    range,
  }),
  component: WebhooksPage,
});
const newWebhook = page('/webhooks/new', NewWebhookPage);
const webhookRoute = createRoute({
  getParentRoute: () => signedIn,
  path: '/webhooks/$id',
  // The recovery that the page shows, so that it survives a reload.
  validateSearch: z.object({ recovery: z.coerce.string().optional().catch(undefined), range }),
  component: WebhookPage,
});
const logRoute = createRoute({
  getParentRoute: () => signedIn,
  path: '/log',
  validateSearch: logSearchSchema,
  component: LogPage,
});
const deliveryRoute = page('/log/$id', DeliveryPage);
const eventsRoute = createRoute({
  getParentRoute: () => signedIn,
  path: '/events',
  validateSearch: eventSearchSchema,
  component: EventsPage,
});
const sendEventRoute = createRoute({
  getParentRoute: () => signedIn,
  path: '/events/send',
  validateSearch: z.object({
    event: z.coerce.string().optional().catch(undefined),
    /** The id of an event to copy. */
    copy: z.coerce.string().optional().catch(undefined),
  }),
  component: SendEventPage,
});
const eventRoute = page('/events/$id', EventPage);
const operationsRoute = page('/operations', OperationsPage);
const operationRoute = page('/operations/$id', OperationPage);
const eventTypesRoute = createRoute({
  getParentRoute: () => signedIn,
  path: '/event-types',
  validateSearch: z.object({ filter: z.coerce.string().optional().catch(undefined) }),
  component: EventTypesPage,
});
const eventTypeRoute = page('/event-types/$name', EventTypePage);
const alerts = page('/alerts', AlertsPage);
const hasAccounts = !isPortal && actingFor === null;
const accountsRoute = createRoute({
  getParentRoute: () => signedIn,
  path: '/accounts',
  validateSearch: z.object({ q: z.coerce.string().optional().catch(undefined) }),
  component: hasAccounts ? AccountsPage : NotFoundPage,
});
const accountRoute = page('/accounts/$id', hasAccounts ? AccountPage : NotFoundPage);
const notFound = page('/$', NotFoundPage);
const keys = page('/keys', isPortal ? NotFoundPage : KeysPage);
const audit = createRoute({
  getParentRoute: () => signedIn,
  path: '/audit',
  validateSearch: auditSearchSchema,
  component: isPortal ? NotFoundPage : AuditPage,
});
const settings = page('/settings', isPortal ? NotFoundPage : SettingsPage);

const routeTree = root.addChildren([
  signIn,
  signedIn.addChildren([
    home,
    webhooks,
    newWebhook,
    webhookRoute,
    logRoute,
    deliveryRoute,
    eventsRoute,
    sendEventRoute,
    eventRoute,
    eventTypesRoute,
    operationsRoute,
    operationRoute,
    eventTypeRoute,
    alerts,
    keys,
    audit,
    settings,
    accountsRoute,
    accountRoute,
    notFound,
  ]),
]);

export function createDashboardRouter(queryClient: QueryClient) {
  return createRouter({
    routeTree,
    basepath: pagesPath,
    context: { queryClient },
    defaultPreload: 'intent',
    // It stores positions, which a portal in a frame does not.
    scrollRestoration: !isInFrame,
    // All values are strings: no JSON quotes in the URL. A time is readable: a query may have colons.
    parseSearch: parseSearchWith((value) => value),
    stringifySearch: (search) => stringifySearchWith(String)(search).replaceAll('%3A', ':'),
  });
}
