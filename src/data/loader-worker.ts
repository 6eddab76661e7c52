/** The thread that prepares batches: fills every `workers`-th slot of the ring as it becomes free, and sleeps in between. */
import { parentPort, workerData } from 'node:worker_threads';
import { ringProducer, slotViews, type BatchRing } from './batch-ring.ts';
import { createFill, type FillSettings } from './fill.ts';

export interface WorkerSettings extends FillSettings {
  readonly ring: BatchRing;
  /** This worker's number, below `workers`. */
  readonly worker: number;
  readonly workers: number;
}

function run(settings: WorkerSettings): never {
  const { ring, worker, workers } = settings;
  const producer = ringProducer(ring);
  const slots = slotViews(ring);
  const fill = createFill(settings);
  for (let n = worker; ; n += workers) {
    producer.waitForSlot(n);
    fill(n, slots[n % ring.slots]!);
    if (producer.markReady(n)) parentPort?.postMessage(n);
  }
}

run(workerData as WorkerSettings);
