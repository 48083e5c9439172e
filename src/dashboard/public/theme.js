// Before the page is painted: the theme that was chosen here, else the system's. A portal's link says its own.
try {
  const theme = /^\/portal(\/|$)/.test(location.pathname) ? null : localStorage.getItem('fltr-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // No storage: the system's theme.
}
