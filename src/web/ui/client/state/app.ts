/** The state that all views share. */
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Curves } from './curves.ts';
import type { LiveState } from './live.ts';

export interface App {
  readonly live: LiveState;
  readonly curves: Curves;
}

export const AppContext = createContext<App | undefined>(undefined);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === undefined) throw new Error('a view is outside of the page');
  return app;
}
