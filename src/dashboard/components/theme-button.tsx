import { useState } from 'react';

const isDarkNow = (): boolean => {
  const chosen = document.documentElement.dataset['theme'];
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
};

/** Switches between light and dark; the browser remembers it. */
export function ThemeButton() {
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
    <button type="button" className="button button-small" onClick={change}>
      {isDark ? 'Light' : 'Dark'}
    </button>
  );
}
