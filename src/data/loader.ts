/**
 * Batch loaders for training and evaluation. Worker threads read the images and write the batches in shared memory, some batches
 * ahead; the thread that takes a batch gets views of it. The batches are the same whatever the number of workers.
 */
import { ConfigurationError, messageOf } from '../util/errors.ts';
import { sidesOf } from '../util/image-size.ts';
import { startWorker } from '../util/start-worker.ts';
import { createRing, ringConsumer, slotViews, type BatchRing, type Slot } from './batch-ring.ts';
import type { Batch, BatchLoader } from './batch.ts';
import type { ImageSet } from './dataset.ts';
import { batchesPerPass, createFill, evaluationCount, type FillSettings } from './fill.ts';
import type { WorkerSettings } from './loader-worker.ts';
import { isMixed } from './mixing.ts';
import { errorOf, type ApplyAugmentation, type AugmentationCode, type AugmentationFailure } from './own-augmentation.ts';
import { checkPreprocessing, type Preprocessing } from './preprocessing.ts';
import { plainView, type EvaluationView } from './transform.ts';

export interface LoaderOptions {
  readonly images: ImageSet;
  /** `[C, H, W]` of the stored images. */
  readonly shape: readonly [channels: number, height: number, width: number];
  readonly preprocessing: Preprocessing;
  /** Examples in a batch of this process. */
  readonly batchSize: number;
  /** Worker threads; default 1, which prepares a batch faster than a network on the same machine's other cores consumes it. */
  readonly workers?: number;
  /** Batches prepared ahead of the one in use; default 4. */
  readonly ahead?: number;
}

export interface TrainingLoaderOptions extends LoaderOptions {
  readonly seed: number;
  /** The step of the first batch: 0, or the number of steps done by the run that is resumed. */
  readonly firstStep: number;
  /** This process among `worldSize` that train together, each with its own part of every step's global batch. */
  readonly rank?: number;
  readonly worldSize?: number;
  readonly augmentation?: LoaderAugmentation | undefined;
}

/** The user's own augmentation: code that the workers run, or a function, which only the thread that takes the batches can call: it prepares them itself. */
export type LoaderAugmentation =
  | (AugmentationCode & {
      /** Makes an error of the code one for the user. */
      explain(error: unknown): Error;
    })
  | { readonly apply: ApplyAugmentation };

export interface EvaluationLoaderOptions extends LoaderOptions {
  /** How the images are seen; default the plain centre crop. */
  readonly view?: EvaluationView;
}

/**
 * Batches without end. With B = batchSize * worldSize, the batch of step t holds examples t*B + rank*batchSize + [0, batchSize) of the
 * endless stream of epochs, each a permutation of all images drawn from (seed, epoch).
 *
 * @throws ConfigurationError for options out of range
 */
export function createTrainingLoader(options: TrainingLoaderOptions): BatchLoader {
  return createSharedTrainingLoader(options).join()!;
}

/** A loader for trainings that see the same batches: each batch is prepared once, and is there until all have gone on. */
export interface SharedTrainingLoader {
  /** The batches from the first on; undefined once one of the trainings is beyond it, or all have left. The threads end when all are disposed of. */
  join(): BatchLoader | undefined;
}

/** @throws ConfigurationError for options out of range */
export function createSharedTrainingLoader(options: TrainingLoaderOptions): SharedTrainingLoader {
  const { seed, firstStep, rank = 0, worldSize = 1 } = options;
  requireInteger('seed', seed, 0);
  requireInteger('firstStep', firstStep, 0);
  requireInteger('worldSize', worldSize, 1);
  requireInteger('rank', rank, 0, worldSize - 1);
  const task = { type: 'training', seed, firstStep, rank, worldSize } as const;
  const { augmentation } = options;
  const ring =
    augmentation !== undefined && 'apply' in augmentation
      ? ringWithoutWorkers(options, task, augmentation.apply)
      : startWorkers(options, task, augmentation);
  return shareRing(ring, options.batchSize);
}

/** Whoever takes batches, with that which it uses or waits for. */
interface Position {
  batch: number;
}

function shareRing(ring: RunningRing, batchSize: number): SharedTrainingLoader {
  const positions = new Set<Position>();
  /** Those who wait for a slot that others use. */
  const waiting: (() => void)[] = [];
  let isOver = false;
  let begun = false;
  let lastTake: Promise<unknown> = Promise.resolve();
  const slowest = () => Math.min(...[...positions].map(({ batch }) => batch));
  const goOn = () => {
    for (const resume of waiting.splice(0)) resume();
  };
  /** One at a time: who waits for a batch is woken by one alone. */
  const take = (n: number) => {
    const taken = lastTake.then(() => ring.take(n, slowest()));
    lastTake = taken.catch(() => undefined);
    return taken;
  };
  return {
    join() {
      if (isOver || begun) return undefined;
      const position: Position = { batch: 0 };
      positions.add(position);
      let nextBatch = 0;
      return {
        async next() {
          const n = nextBatch++;
          begun ||= n > 0;
          position.batch = n;
          goOn();
          while (n - slowest() >= ring.slots) await new Promise<void>((resolve) => waiting.push(resolve));
          return { ...(await take(n)), count: batchSize };
        },
        get waitMs() {
          return ring.waitMs();
        },
        async dispose() {
          positions.delete(position);
          goOn();
          if (positions.size > 0) return;
          isOver = true;
          await ring.dispose();
        },
      };
    },
  };
}

/**
 * Every image exactly once, in the order stored, in full batches and a last one that may be partial; then undefined; then again.
 *
 * @throws ConfigurationError for options out of range
 */
export function createEvaluationLoader(options: EvaluationLoaderOptions): BatchLoader {
  const { images, batchSize, view = plainView } = options;
  const largestShift = Math.min(options.shape[1], options.shape[2]) - 1;
  for (const shift of view.shift) requireInteger('shift', shift, -largestShift, largestShift);
  const ring = startWorkers(options, { type: 'evaluation', view });
  const passLength = batchesPerPass(images.count, batchSize);
  let nextBatch = 0;
  let passEnded = false;
  return {
    next: async () => {
      passEnded = !passEnded && nextBatch > 0 && nextBatch % passLength === 0;
      if (passEnded) return undefined;
      const n = nextBatch++;
      return { ...(await ring.take(n)), count: evaluationCount(n, images.count, batchSize) };
    },
    get waitMs() {
      return ring.waitMs();
    },
    dispose: () => ring.dispose(),
  };
}

interface RunningRing {
  /** Batches that there may be at a time. */
  readonly slots: number;
  /** Waits for batch `n` and gives back those before `keepFrom`, by default those before it. */
  take(n: number, keepFrom?: number): Promise<Omit<Batch, 'count'>>;
  waitMs(): number;
  dispose(): Promise<void>;
}

/** Batches prepared when they are asked for. */
function ringWithoutWorkers(options: LoaderOptions, task: FillSettings['task'], own: ApplyAugmentation): RunningRing {
  const { ring, settings } = checkedSettings({ ...options, ahead: 1 }, task);
  const fill = createFill({ ...settings, own });
  const [slot] = slotViews(ring) as [Slot];
  let waitMs = 0;
  return {
    slots: 1,
    take(n) {
      const start = performance.now();
      fill(n, slot);
      waitMs += performance.now() - start;
      return Promise.resolve(batchOf(slot));
    },
    waitMs: () => waitMs,
    dispose: () => Promise.resolve(),
  };
}

function checkedSettings(options: LoaderOptions, task: FillSettings['task']): { ring: BatchRing; settings: FillSettings } {
  const { images, shape, preprocessing, batchSize, ahead = 4 } = options;
  requireInteger('batchSize', batchSize, 1);
  requireInteger('ahead', ahead, 1);
  requireInteger('number of images', images.count, 1);
  checkPreprocessing(shape, preprocessing);
  const mixed = task.type === 'training' && isMixed(preprocessing.augmentation);

  // One slot more than are prepared ahead: the one in use.
  const [height, width] = sidesOf(preprocessing.inputSize);
  const ring = createRing(ahead + 1, batchSize, shape[0] * height * width, mixed);
  return { ring, settings: { images, shape, preprocessing, batchSize, task } };
}

function batchOf({ inputs, labels, mixed }: Slot): Omit<Batch, 'count'> {
  return { inputs, labels, ...(mixed && { mixed: { labels: mixed.labels, share: mixed.share[0]! } }) };
}

function startWorkers(
  options: LoaderOptions,
  task: FillSettings['task'],
  augmentation?: Exclude<LoaderAugmentation, { apply: unknown }>,
): RunningRing {
  const { workers: workerCount = 1 } = options;
  requireInteger('workers', workerCount, 1);
  const { ring, settings } = checkedSettings(options, task);
  const given = augmentation && { code: augmentation.code, settings: augmentation.settings };
  const consumer = ringConsumer(ring);
  const slots = slotViews(ring);
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  let waitMs = 0;

  function fail(error: Error): void {
    failure ??= error;
    wake?.();
  }

  const workers = Array.from({ length: workerCount }, (_, worker) => {
    const workerData: WorkerSettings = { ...settings, ring, worker, workers: workerCount, augmentation: given };
    const thread = startWorker(import.meta.url, 'loader-worker', { name: `ablate-loader-${worker}`, workerData });
    thread.on('message', (message: number | AugmentationFailure) => {
      if (typeof message === 'number') wake?.();
      else fail(augmentation!.explain(errorOf(message)));
    });
    thread.on('error', (cause) => fail(new Error(`a data loader thread failed: ${messageOf(cause)}`, { cause })));
    thread.on('exit', (code) => fail(new Error(`a data loader thread ended with exit code ${code}`)));
    // A loader that nobody waits for does not keep the process alive.
    thread.unref();
    return thread;
  });

  async function waitFor(n: number): Promise<void> {
    const start = performance.now();
    workers.forEach((thread) => thread.ref());
    try {
      for (;;) {
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        consumer.askForMessage();
        if (failure !== undefined) throw failure;
        if (consumer.isReady(n)) return;
        await woken;
      }
    } finally {
      workers.forEach((thread) => thread.unref());
      waitMs += performance.now() - start;
    }
  }

  return {
    slots: ring.slots,
    take: async (n, keepFrom = n) => {
      if (failure !== undefined) throw failure;
      consumer.releaseBefore(keepFrom);
      if (!consumer.isReady(n)) await waitFor(n);
      return batchOf(slots[n % ring.slots]!);
    },
    waitMs: () => waitMs,
    dispose: async () => {
      fail(new Error('the data loader has been disposed of'));
      await Promise.all(workers.map((thread) => thread.terminate()));
    },
  };
}

function requireInteger(name: string, value: number, low: number, high = Number.MAX_SAFE_INTEGER): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  const allowed = high === Number.MAX_SAFE_INTEGER ? `an integer of at least ${low}` : `an integer from ${low} to ${high}`;
  throw new ConfigurationError(`${name} (=${value}) must be ${allowed}`);
}
