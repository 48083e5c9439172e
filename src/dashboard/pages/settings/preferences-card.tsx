import { Choices } from '../../components/choices.tsx';
import { Section } from '../../components/section.tsx';
import { choose, preferences, usePreference, type Preference } from '../../preferences.ts';

const themeNames: Record<Preference<'theme'>, string> = {
  system: 'As the system',
  light: 'Light',
  dark: 'Dark',
};

const timesNames: Record<Preference<'times'>, string> = {
  local: `Local time (${Intl.DateTimeFormat().resolvedOptions().timeZone})`,
  utc: 'UTC',
};

/** They take effect at once: there is nothing to save. */
export function PreferencesCard() {
  const theme = usePreference('theme');
  const times = usePreference('times');
  return (
    <Section title="This browser">
      <div className="form">
        <Choices
          legend="Theme"
          name="theme"
          choices={preferences.theme.map((value) => ({ value, label: themeNames[value] }))}
          chosen={theme}
          onChoose={(value) => choose('theme', value)}
        />
        <Choices
          legend="Times"
          name="times"
          choices={preferences.times.map((value) => ({ value, label: timesNames[value] }))}
          chosen={times}
          onChoose={(value) => choose('times', value)}
        />
        <p className="hint">Kept in this browser, for all who use it. Takes effect at once.</p>
      </div>
    </Section>
  );
}
