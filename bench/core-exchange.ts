/**
 * How near to each other the cores are on which two threads run. A host may give a virtual machine cores that share a cache, and some seconds
 * later cores that do not: whatever moves memory between threads is then several times slower, without anything else running.
 */
import { Worker } from 'node:worker_threads';

/** Answers every new number in the first cell with the same in a cell of another cache line. */
const answering = `
  const cells = new Int32Array(require('node:worker_threads').workerData);
  for (let last = 0; ; ) {
    const seen = Atomics.load(cells, 0);
    if (seen !== last) Atomics.store(cells, 16, (last = seen));
  }
`;
const exchanges = 20_000;
const repetitions = 7;

/** Nanoseconds in which two threads exchange a number, there and back: the median of several series. */
export async function exchangeNs(): Promise<number> {
  const memory = new SharedArrayBuffer(128);
  const cells = new Int32Array(memory);
  const thread = new Worker(answering, { eval: true, workerData: memory });
  try {
    await new Promise((resolve) => thread.once('online', resolve));
    const times = Array.from({ length: repetitions + 1 }, (_, series) => {
      const before = performance.now();
      for (let i = 1; i <= exchanges; i++) {
        const number = series * exchanges + i;
        Atomics.store(cells, 0, number);
        while (Atomics.load(cells, 16) !== number);
      }
      return (1e6 * (performance.now() - before)) / exchanges;
    });
    // The first waits for the thread to be compiled.
    const sorted = times.slice(1).sort((a, b) => a - b);
    return sorted[repetitions >> 1]!;
  } finally {
    await thread.terminate();
  }
}
