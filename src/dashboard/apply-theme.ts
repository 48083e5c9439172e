import type { PortalView } from '../contracts/portal-link.ts';
import { accentColors } from './accent.ts';

/** Gives the pages the portal's colors. */
export function applyTheme({ accent, mode }: PortalView): void {
  const { dataset, style } = document.documentElement;
  if (mode === 'auto') delete dataset['theme'];
  else dataset['theme'] = mode;
  if (accent === null) return;
  const { light, dark } = accentColors(accent);
  const text = `light-dark(${light.text}, ${dark.text})`;
  for (const [name, value] of Object.entries({
    '--accent': text,
    '--focus': text,
    '--accent-border': text,
    '--accent-solid': light.solid,
    '--accent-hover': light.hover,
    '--on-accent': light.onSolid,
  }))
    style.setProperty(name, value);
}
