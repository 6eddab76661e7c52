/** The thread that prepares batches: fills every `workers`-th slot of the ring as it becomes free, and sleeps in between. */
import { parentPort, workerData } from 'node:worker_threads';
import { ringProducer, slotViews, type BatchRing } from './batch-ring.ts';
import { createFill, type FillSettings } from './fill.ts';
import type { AugmentationCode, ApplyAugmentation } from './own-augmentation.ts';

export interface WorkerSettings extends Omit<FillSettings, 'own'> {
  readonly ring: BatchRing;
  /** This worker's number, below `workers`. */
  readonly worker: number;
  readonly workers: number;
  /** The user's own augmentation. */
  readonly augmentation?: AugmentationCode | undefined;
}

function run(settings: WorkerSettings, own?: ApplyAugmentation): never {
  const { ring, worker, workers } = settings;
  const producer = ringProducer(ring);
  const slots = slotViews(ring);
  const fill = createFill({ ...settings, own });
  for (let n = worker; ; n += workers) {
    producer.waitForSlot(n);
    fill(n, slots[n % ring.slots]!);
    if (producer.markReady(n)) parentPort?.postMessage(n);
  }
}

/** With code of the user's, whose errors are told as such. */
async function runWith(settings: WorkerSettings, { code, settings: given }: AugmentationCode): Promise<void> {
  const { failureOf } = await import('./own-augmentation.ts');
  try {
    const { importText } = await import('../util/import-text.ts');
    const { default: definition } = await importText(code);
    const { apply } = definition as { apply(...given: readonly unknown[]): unknown };
    run(settings, (image, random) => apply(image, random, given));
  } catch (error) {
    parentPort?.postMessage(failureOf(error));
  }
}

const { augmentation, ...settings } = workerData as WorkerSettings;
if (augmentation === undefined) run(settings);
else void runWith(settings, augmentation);
