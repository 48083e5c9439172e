import { CSPProvider } from '@base-ui/react/csp-provider';
import { Toast } from '@base-ui/react/toast';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { Toasts } from './components/toasts.tsx';
import { startLiveUpdates } from './live-updates.ts';
import { createQueryClient, sessionQuery } from './queries.ts';
import { createDashboardRouter } from './router.tsx';

const queryClient = createQueryClient(() => {
  const { pathname, href } = router.state.location;
  if (pathname === '/sign-in') return;
  queryClient.removeQueries({ queryKey: sessionQuery.queryKey });
  void router.navigate({ to: '/sign-in', search: { next: href } });
});
const router = createDashboardRouter(queryClient);
startLiveUpdates(queryClient);

declare module '@tanstack/react-router' {
  interface HistoryState {
    /** Of the log with its panel: it was opened from the list, which is the entry before. */
    isOpenedInList?: boolean;
  }
  interface Register {
    router: typeof router;
  }
}

export function App() {
  return (
    <CSPProvider disableStyleElements>
      <QueryClientProvider client={queryClient}>
        <Toast.Provider timeout={6000}>
          <RouterProvider router={router} />
          <Toasts />
        </Toast.Provider>
      </QueryClientProvider>
    </CSPProvider>
  );
}
