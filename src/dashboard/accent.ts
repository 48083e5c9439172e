type Rgb = readonly [red: number, green: number, blue: number];
type Accent = { text: string; solid: string; onSolid: string; hover: string };

/** Of the surfaces that have text in the accent, the one on which it is hardest to read: --surface-2 of tokens.css. */
const surfaces = { light: '#f0f2f5', dark: '#1f252e' };
const black: Rgb = [0, 0, 0];
const white: Rgb = [255, 255, 255];
/** WCAG 2.2, level AA, for text. */
const minContrast = 4.5;

/**
 * Colors made from one: of text (darker or lighter until it can be read), of buttons, of the text on them, and of a button
 * under the pointer. Text on any of them has a contrast of at least 4.5 : 1.
 *
 * @example accentColors('#0a7cff').light // { text: '#0967d4', solid: '#0a7cff', onSolid: '#000000', hover: … }
 */
export function accentColors(accent: string): { light: Accent; dark: Accent } {
  const solid = parse(accent);
  const isDark = contrast(solid, white) >= contrast(solid, black);
  const onSolid = isDark ? white : black;
  const shared = {
    solid: format(solid),
    onSolid: format(onSolid),
    hover: format(mix(solid, isDark ? black : white, 0.15)),
  };
  const of = (surface: string, toward: Rgb) => ({
    text: format(readable(solid, surface, toward)),
    ...shared,
  });
  return { light: of(surfaces.light, black), dark: of(surfaces.dark, white) };
}

function readable(color: Rgb, surface: string, toward: Rgb): Rgb {
  for (let share = 0; share < 1; share += 0.02) {
    const mixed = mix(color, toward, share);
    if (contrast(mixed, parse(surface)) >= minContrast) return mixed;
  }
  return toward;
}

/** By WCAG 2.2: 1 to 21. @example contrastOf('#000000', '#ffffff') // 21 */
export const contrastOf = (one: string, other: string): number => contrast(parse(one), parse(other));

function contrast(one: Rgb, other: Rgb): number {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

function luminance(color: Rgb): number {
  const [red, green, blue] = color.map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const mix = (color: Rgb, other: Rgb, share: number): Rgb =>
  color.map((channel, index) =>
    Math.round(channel + ((other[index] ?? 0) - channel) * share),
  ) as unknown as Rgb;

/** `#rgb` or `#rrggbb`. */
function parse(text: string): Rgb {
  const digits = text.slice(1);
  const whole = digits.length === 3 ? digits.replaceAll(/./g, '$&$&') : digits;
  return [0, 2, 4].map((start) => Number.parseInt(whole.slice(start, start + 2), 16)) as unknown as Rgb;
}

const format = (color: Rgb): string =>
  `#${color.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`;
