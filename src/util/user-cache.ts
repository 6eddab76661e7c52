import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { environmentVariable } from './env.ts';

/** What is kept for this user from command to command, as downloaded data: `$XDG_CACHE_HOME/ablate`, or `~/.cache/ablate`. */
export function userCacheFolder(): string {
  const base = environmentVariable('XDG_CACHE_HOME');
  // The XDG base directory specification has relative paths ignored.
  return join(base !== undefined && isAbsolute(base) ? base : join(homedir(), '.cache'), 'ablate');
}
