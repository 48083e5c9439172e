import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { signOut } from '../session-api.ts';
import { sessionQuery } from '../queries.ts';
import { Button } from './button.tsx';

const navigation = [
  { to: '/webhooks', label: 'Webhooks' },
  { to: '/log', label: 'Delivery log' },
  { to: '/events', label: 'Events' },
  { to: '/event-types', label: 'Event types' },
  { to: '/keys', label: 'API keys' },
  { to: '/settings', label: 'Settings' },
] as const;

/** The frame of all pages. */
export function Layout() {
  const { data: session } = useQuery(sessionQuery);
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
        <Link to="/webhooks" className="brand">
          <img src="/icon.svg" alt="" width="24" height="24" />
          FLTR webhooks
        </Link>
        <nav aria-label="Main">
          <ul>
            {navigation.map(({ to, label }) => (
              <li key={to}>
                <Link to={to} className="nav-link" activeProps={{ className: 'nav-link active' }}>
                  {label}
                </Link>
              </li>
            ))}
            <li>
              <a href="/docs" className="nav-link">
                API reference
              </a>
            </li>
          </ul>
        </nav>
        <div className="sidebar-foot">
          <span className="account" title={session?.account_id}>
            {session?.account_name}
          </span>
          <ThemeButton />
          <Button look="small" onClick={() => void leaveSession()}>
            Sign out
          </Button>
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        <Outlet />
      </main>
    </div>
  );
}

const isDarkNow = (): boolean => {
  const chosen = document.documentElement.dataset['theme'];
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
};

/** Switches between light and dark; the browser remembers it. */
function ThemeButton() {
  const [isDark, setDark] = useState(isDarkNow);
  const change = () => {
    const theme = isDark ? 'light' : 'dark';
    document.documentElement.dataset['theme'] = theme;
    try {
      localStorage.setItem('fltr-theme', theme);
    } catch {
      // Without storage, the choice lasts until the page is left.
    }
    setDark(!isDark);
  };
  return (
    <Button look="small" onClick={change}>
      {isDark ? 'Light' : 'Dark'}
    </Button>
  );
}
