/** Who uses the processors of this machine. */
import { cpus } from 'node:os';
import { delay } from './delay.ts';

/** Sums since some moment in the past: differences between two of them count. */
export interface ProcessorTime {
  readonly wallMs: number;
  /** Of this process, on all processors together. */
  readonly ownMs: number;
  /** Of all processes. */
  readonly busyMs: number;
  /** Hardware threads of the machine. */
  readonly processors: number;
}

export function processorTime(): ProcessorTime {
  const { user, system } = process.cpuUsage();
  const all = cpus();
  const busyMs = all.reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  return { wallMs: performance.now(), ownMs: (user + system) / 1000, busyMs, processors: all.length };
}

/** Processors that other processes left free between two moments, as a fraction too. On a machine of which a container may use a part, of all of it. */
export function freeProcessors(before: ProcessorTime, after: ProcessorTime): number {
  const othersMs = after.busyMs - before.busyMs - (after.ownMs - before.ownMs);
  const others = Math.max(0, othersMs / (after.wallMs - before.wallMs));
  return Math.max(0, after.processors - others);
}

/** Looks for half a second how many processors are free. */
export async function measureFreeProcessors(): Promise<number> {
  const before = processorTime();
  await delay(500);
  return freeProcessors(before, processorTime());
}
