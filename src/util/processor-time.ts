/** Who uses the processors of this machine. */
import { cpus } from 'node:os';

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
