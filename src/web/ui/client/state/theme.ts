/** Light or dark: as the system has it, unless the reader has chosen. Charts are drawn, and so must know the colours themselves. */
import { useEffect, useState } from 'preact/hooks';
import { darkColours, lightColours } from '../../../../report/theme.ts';

export type Theme = 'light' | 'dark';

const key = 'ablate-theme';
const system = matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

function chosen(): Theme | undefined {
  const value = localStorage.getItem(key);
  return value === 'light' || value === 'dark' ? value : undefined;
}

export function currentTheme(): Theme {
  return chosen() ?? (system.matches ? 'dark' : 'light');
}

function apply(): void {
  document.documentElement.dataset['theme'] = currentTheme();
  for (const listener of listeners) listener();
}

export function startTheme(): void {
  system.addEventListener('change', apply);
  apply();
}

export function toggleTheme(): void {
  const next = currentTheme() === 'dark' ? 'light' : 'dark';
  // Back at what the system has, the choice is none.
  if (next === (system.matches ? 'dark' : 'light')) localStorage.removeItem(key);
  else localStorage.setItem(key, next);
  apply();
}

export function useTheme(): Theme {
  const [theme, setTheme] = useState(currentTheme);
  useEffect(() => {
    const update = () => {
      setTheme(currentTheme());
    };
    listeners.add(update);
    return () => {
      listeners.delete(update);
    };
  }, []);
  return theme;
}

export type ChartColours = Readonly<Record<keyof typeof lightColours, string>> & { readonly lines: readonly string[] };

/** Of runs and groups: told apart with any kind of colour vision when they are few, and against either ground. */
const lightLines = ['#2a78d6', '#d9620f', '#0d7a54', '#a6449b', '#b98300', '#6a51c8', '#0a8a9c', '#c93a4b', '#5b6b7a', '#7a5a3a'];
const darkLines = ['#5aa2f5', '#f08a3c', '#3cbf8d', '#d77fcb', '#e0b23e', '#9d8bf0', '#3fbfd0', '#f2777f', '#9aabba', '#c39a6b'];

const colours: Readonly<Record<Theme, ChartColours>> = {
  light: { ...lightColours, lines: lightLines },
  dark: { ...darkColours, lines: darkLines },
};

export function coloursOf(theme: Theme): ChartColours {
  return colours[theme];
}
