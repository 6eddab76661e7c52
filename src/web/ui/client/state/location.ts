/**
 * Where the page is, and what is chosen there: all of it in the address, behind the #, so that it survives a reload and can be passed on.
 * Nothing of it reaches the server.
 */
import { useEffect, useState } from 'preact/hooks';

export interface Place {
  /** `['runs']`, `['run', 'tuto/3']`, `['studies']`, `['study', 'quick-start']` */
  readonly path: readonly string[];
  readonly choices: URLSearchParams;
}

export function currentPlace(): Place {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return { path: path.split('/').filter(Boolean).map(decoded), choices: new URLSearchParams(query) };
}

/** An address within the page. */
export function addressOf(path: readonly string[], choices?: Readonly<Record<string, string>>): string {
  const query = new URLSearchParams(choices).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${query === '' ? '' : `?${query}`}`;
}

/** Changes some choices of this place; those that are undefined are taken out. */
export function choose(changes: Readonly<Record<string, string | undefined>>): void {
  const { path, choices } = currentPlace();
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) choices.delete(key);
    else choices.set(key, value);
  }
  history.replaceState(null, '', addressOf(path, Object.fromEntries(choices)));
  dispatchEvent(new HashChangeEvent('hashchange'));
}

export function usePlace(): Place {
  const [place, setPlace] = useState(currentPlace);
  useEffect(() => {
    const update = () => {
      setPlace(currentPlace());
    };
    addEventListener('hashchange', update);
    return () => {
      removeEventListener('hashchange', update);
    };
  }, []);
  return place;
}

/** As it is where it is no code. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const tokenKey = 'ablate-token';

/** Takes the token out of the address, which is passed on and shown to others, and keeps it for this tab. */
export function takeToken(): void {
  const token = currentPlace().choices.get('token');
  if (token === null) return;
  sessionStorage.setItem(tokenKey, token);
  choose({ token: undefined });
}

/** Undefined for a reader. */
export function controlToken(): string | undefined {
  return sessionStorage.getItem(tokenKey) ?? undefined;
}
