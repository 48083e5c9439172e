import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useNavigate } from '@tanstack/react-router';
import { actingFor } from '../acting.ts';
import { signOut } from '../session-api.ts';
import { isInFrame, isPortal } from '../portal.ts';
import { choose, usePreference } from '../preferences.ts';
import { sessionQuery } from '../queries.ts';
import { ActingBanner } from './acting-banner.tsx';
import { Brand } from './brand.tsx';
import { Button } from './button.tsx';
import { SearchBox } from './search/search-box.tsx';

const navigation = [
  { to: '/webhooks', label: 'Webhooks' },
  { to: '/log', label: 'Delivery log' },
  { to: '/events', label: 'Events' },
  { to: '/event-types', label: 'Event types' },
  { to: '/operations', label: 'Operations' },
  { to: '/alerts', label: 'Alerts' },
  { to: '/keys', label: 'API keys', isOperators: true },
  { to: '/audit', label: 'Audit log', isOperators: true },
] as const satisfies { to: string; label: string; isOperators?: true }[];
const shownNavigation = navigation.filter((item) => !isPortal || !('isOperators' in item));

/** The frame of all pages. */
export function Layout() {
  const { data: session } = useQuery(sessionQuery);
  // A service key belongs to no account.
  const hasAccount = session?.account_id !== null;
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const leaveSession = async (): Promise<void> => {
    await signOut();
    queryClient.clear();
    await navigate({ to: '/sign-in' });
  };
  return (
    <div className="frame">
      <a className="skip-link" href="#content">
        Skip to content
      </a>
      <header className="sidebar">
        <Link to={hasAccount ? '/webhooks' : '/accounts'} className="brand">
          <Brand />
        </Link>
        {hasAccount && <SearchBox />}
        <nav aria-label="Main">
          <ul>
            {hasAccount &&
              shownNavigation.map(({ to, label }) => (
                <li key={to}>
                  <Link to={to} className="nav-link" activeProps={{ className: 'nav-link active' }}>
                    {label}
                  </Link>
                </li>
              ))}
            {session?.is_service_key && (
              <li>
                <AccountsLink />
              </li>
            )}
            {!isPortal && (
              <li>
                <Link to="/settings" className="nav-link" activeProps={{ className: 'nav-link active' }}>
                  Settings
                </Link>
              </li>
            )}
            {!isPortal && (
              <li>
                <a href="/docs" className="nav-link">
                  API reference
                </a>
              </li>
            )}
          </ul>
        </nav>
        <div className="sidebar-foot">
          <span className="account" title={session?.account_id ?? session?.key_id}>
            {session?.account_name ?? session?.key_name}
          </span>
          {session?.portal?.return_url && <ReturnLink url={session.portal.return_url} />}
          {!isPortal && <ThemeButton />}
          {!isInFrame && (
            <Button look="small" onClick={() => void leaveSession()}>
              Sign out
            </Button>
          )}
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        <ActingBanner />
        <Outlet />
      </main>
    </div>
  );
}

/** From the pages of an account, they are another document. */
const AccountsLink = () =>
  actingFor === null ? (
    <Link to="/accounts" className="nav-link" activeProps={{ className: 'nav-link active' }}>
      Accounts
    </Link>
  ) : (
    <a href="/accounts" className="nav-link">
      Accounts
    </a>
  );

/** To where the link of a portal came from; out of the frame. */
function ReturnLink({ url }: { url: string }) {
  return (
    <a href={url} target="_top" className="return-link">
      Back to {new URL(url).host}
    </a>
  );
}

/** Switches between light and dark. */
function ThemeButton() {
  const theme = usePreference('theme');
  const isDark = theme === 'system' ? matchMedia('(prefers-color-scheme: dark)').matches : theme === 'dark';
  return (
    <Button look="small" onClick={() => choose('theme', isDark ? 'light' : 'dark')}>
      {isDark ? 'Light' : 'Dark'}
    </Button>
  );
}
