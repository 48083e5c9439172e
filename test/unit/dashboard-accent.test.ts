import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { accentColors, contrastOf } from '../../src/dashboard/accent.ts';
import { packageRoot } from '../../src/package-root.ts';

const tokens = readFileSync(join(packageRoot, 'src/dashboard/styles/tokens.css'), 'utf8');
const surfaces = ['bg', 'surface', 'surface-2'].map((name) => {
  const [, light = '', dark = ''] =
    new RegExp(`--${name}: light-dark\\((#\\w+), (#\\w+)\\)`).exec(tokens) ?? [];
  return { light, dark };
});

test('the contrast is that of WCAG', () => {
  expect(contrastOf('#000', '#ffffff')).toBeCloseTo(21);
  expect(contrastOf('#fff', '#ffffff')).toBe(1);
  expect(contrastOf('#777777', '#ffffff')).toBeCloseTo(4.48, 2);
});

test('with any accent, text on it and text in it can be read on every surface', () => {
  const steps = [0, 51, 102, 153, 204, 255].map((value) => value.toString(16).padStart(2, '0'));
  const all = steps.flatMap((red) => steps.flatMap((green) => steps.map((blue) => `#${red}${green}${blue}`)));
  for (const accent of [...all, '#757575', '#767676', '#777777', '#abc']) {
    const { light, dark } = accentColors(accent);
    for (const { solid, onSolid, hover } of [light, dark]) {
      expect([accent, contrastOf(solid, onSolid) >= 4.5]).toEqual([accent, true]);
      expect([accent, contrastOf(hover, onSolid) >= 4.5]).toEqual([accent, true]);
    }
    for (const surface of surfaces) {
      expect([accent, contrastOf(light.text, surface.light) >= 4.5]).toEqual([accent, true]);
      expect([accent, contrastOf(dark.text, surface.dark) >= 4.5]).toEqual([accent, true]);
    }
  }
});

test('an accent that can be read stays as it is', () => {
  expect(accentColors('#3048d6').light).toMatchObject({
    text: '#3048d6',
    solid: '#3048d6',
    onSolid: '#ffffff',
  });
  expect(accentColors('#fff').dark).toMatchObject({ text: '#ffffff', onSolid: '#000000' });
});
