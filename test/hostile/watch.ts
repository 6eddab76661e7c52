/** Watches a process and those that it starts: how long it takes, and how much memory. Linux only. */
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

export interface Limits {
  /** Time that the process had to wait for a processor is not its own. */
  readonly seconds: number;
  /** Resident, of all processes together. */
  readonly bytes: number;
}

export interface Watch {
  /** What went beyond the limits; the processes were ended then. */
  problem(): string | undefined;
  /** The most bytes seen. */
  peakBytes(): number;
  stop(): void;
}

const pollMs = 50;

/** Watches from now on, and ends `child` and what it started if they go beyond the limits. */
export function watch(child: ChildProcess, limits: Limits): Watch {
  const pid = child.pid!;
  const startedAt = performance.now();
  const waitedBefore = secondsWaited(pid);
  forgetPeak(pid);
  let peak = 0;
  let problem: string | undefined;
  const check = () => {
    const tree = family(pid);
    const together = tree.reduce((sum, member) => sum + memory(member).now, 0);
    peak = Math.max(peak, together, memory(pid).peak);
    const elapsed = (performance.now() - startedAt) / 1000;
    if (peak > limits.bytes) problem ??= `more than ${Math.round(limits.bytes / 1e6)} MB of memory`;
    if (elapsed > limits.seconds && elapsed - (secondsWaited(pid) - waitedBefore) > limits.seconds) {
      problem ??= `more than ${limits.seconds} s`;
    }
    if (problem !== undefined) for (const member of tree.reverse()) kill(member);
  };
  const timer = setInterval(check, pollMs);
  return {
    problem: () => problem,
    peakBytes: () => peak,
    stop: () => {
      clearInterval(timer);
      check();
    },
  };
}

/** All processes below one. */
export function offspring(pid: number): number[] {
  return family(pid).slice(1);
}

/** A process and all below it. */
function family(pid: number): number[] {
  const members = [pid];
  for (const member of members) members.push(...childrenOf(member));
  return members;
}

function childrenOf(pid: number): number[] {
  return tasks(pid).flatMap((task) => {
    const text = read(`/proc/${pid}/task/${task}/children`).trim();
    return text === '' ? [] : text.split(' ').map(Number);
  });
}

function tasks(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return []; // It has ended.
  }
}

/** Of the thread that waited longest. */
function secondsWaited(pid: number): number {
  const waits = tasks(pid).map((task) => Number(read(`/proc/${pid}/task/${task}/schedstat`).split(' ')[1] ?? 0) / 1e9);
  return Math.max(0, ...waits);
}

function memory(pid: number): { readonly now: number; readonly peak: number } {
  const status = read(`/proc/${pid}/status`);
  const kilobytes = (key: string) => Number(new RegExp(`^${key}:\\s*(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return { now: 1024 * kilobytes('VmRSS'), peak: 1024 * kilobytes('VmHWM') };
}

/** A process that lives on for the next command starts with a peak of its own (proc(5): clear_refs). */
function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // It has ended.
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // It has ended.
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
