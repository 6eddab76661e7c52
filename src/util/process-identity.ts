/** Which process wrote a file, and whether it is still there. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** When the process started, in clock ticks since boot: tells it from a later process of the same number. Linux only. */
  readonly startTicks?: string;
}

export function thisProcess(): ProcessIdentity {
  const started = linuxProcess(process.pid)?.startTicks;
  return { pid: process.pid, host: hostname(), ...(started !== undefined && { startTicks: started }) };
}

/** Whether the process runs; `unknown` if it belongs to another host. */
export function processState(identity: ProcessIdentity): 'alive' | 'dead' | 'unknown' {
  if (identity.host !== hostname()) return 'unknown';
  if (!exists(identity.pid)) return 'dead';
  const found = linuxProcess(identity.pid);
  if (found === undefined) return 'alive';
  const another = identity.startTicks !== undefined && identity.startTicks !== found.startTicks;
  return another || found.ended ? 'dead' : 'alive';
}

export function isSameProcess(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return a.pid === b.pid && a.host === b.host && a.startTicks === b.startTicks;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another user's process may not be signalled, but it is there.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** State and start of a process from /proc/<pid>/stat (proc(5)): fields 3 and 22, behind the name, which may hold blanks and brackets. */
function linuxProcess(pid: number): { readonly ended: boolean; readonly startTicks: string } | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // Not Linux, or the process has just ended.
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const startTicks = fields[19];
  // Z: ended, and its parent has not asked for the exit code yet.
  return startTicks === undefined ? undefined : { ended: state === 'Z' || state === 'X', startTicks };
}
