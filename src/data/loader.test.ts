import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import type { BatchLoader } from './batch.ts';
import type { ImageSet } from './dataset.ts';
import { allocateImages } from './new-image-set.ts';
import { createEvaluationLoader, createTrainingLoader, type TrainingLoaderOptions } from './loader.ts';
import { augmentation2017 } from './preprocessing.ts';

const shape = [1, 4, 4] as const;
const plain = { inputSize: 4, standardization: { type: 'channel', mean: [0], deviation: [1 / 255] } } as const;
const like2017 = { inputSize: 3, standardization: { type: 'image' }, augmentation: augmentation2017 } as const;

/** Image i has i in its first pixel and label i % 256. */
function numbered(count: number): ImageSet {
  const set = allocateImages(count, shape);
  for (let i = 0; i < count; i++) {
    for (let pixel = 0; pixel < 16; pixel++) set.images[i * 16 + pixel] = pixel === 0 ? i : (i * 31 + pixel * 17) % 256;
    set.labels[i] = i;
  }
  return set;
}

const open: BatchLoader[] = [];
function opened(loader: BatchLoader): BatchLoader {
  open.push(loader);
  return loader;
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((loader) => loader.dispose()));
});

interface Copy {
  readonly inputs: readonly number[];
  readonly labels: readonly number[];
  readonly mixed: readonly number[] | undefined;
}

async function take(loader: BatchLoader, batches: number): Promise<Copy[]> {
  const copies: Copy[] = [];
  for (let i = 0; i < batches; i++) {
    const batch = (await loader.next())!;
    expect(batch.inputs.byteOffset % 64).toBe(0);
    copies.push({
      inputs: [...batch.inputs],
      labels: [...batch.labels.subarray(0, batch.count)],
      mixed: batch.mixed && [batch.mixed.share, ...batch.mixed.labels],
    });
  }
  return copies;
}

async function train(options: Partial<TrainingLoaderOptions>, batches: number): Promise<Copy[]> {
  const images = numbered(50);
  const defaults = { images, shape, preprocessing: like2017, batchSize: 8, seed: 3, firstStep: 0 };
  return take(opened(createTrainingLoader({ ...defaults, ...options })), batches);
}

test('every image comes exactly once in each epoch, in an order of its own, across batches', async () => {
  const labels = (await train({ preprocessing: plain }, 25)).flatMap((batch) => batch.labels);
  const epochs = [0, 1, 2, 3].map((epoch) => labels.slice(50 * epoch, 50 * epoch + 50));
  for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual([...Array(50).keys()]);
  expect(new Set(epochs.map(String)).size).toBe(4);
});

test('inputs belong to their labels', async () => {
  for (const batch of await train({ preprocessing: plain }, 10)) {
    batch.labels.forEach((label, row) => expect(Math.round(batch.inputs[row * 16]!)).toBe(label));
  }
});

test('batches do not depend on the number of workers or slots', async () => {
  const one = await train({ workers: 1 }, 30);
  expect(await train({ workers: 3, ahead: 2 }, 30)).toEqual(one);
  expect(await train({ workers: 2, ahead: 7 }, 30)).toEqual(one);
  expect(await train({ seed: 4 }, 1)).not.toEqual(one.slice(0, 1));
});

test('a resumed run continues with exactly the batches that follow', async () => {
  const whole = await train({}, 20);
  expect(await train({ firstStep: 13 }, 7)).toEqual(whole.slice(13));
});

test('mixed batches do not depend on the number of workers, and a resumed run continues with those that follow', async () => {
  const preprocessing = { ...like2017, augmentation: { ...augmentation2017, mixup: 1, cutmix: 1 } };
  const one = await train({ preprocessing, workers: 1 }, 15);
  expect(new Set(one.map(({ mixed }) => mixed![0])).size).toBeGreaterThan(5);
  expect(await train({ preprocessing, workers: 3, ahead: 2 }, 15)).toEqual(one);
  expect(await train({ preprocessing, firstStep: 9 }, 6)).toEqual(one.slice(9));
  const plainLabels = (await train({}, 15)).map(({ labels, mixed }) => [labels, mixed]);
  expect(plainLabels).toEqual(one.map(({ labels }) => [labels, undefined]));
});

test('an image gets the same augmentation whatever the batch size', async () => {
  const inInputs = (batches: readonly Copy[]): number[] => batches.flatMap((batch) => batch.inputs);
  expect(inInputs(await train({ batchSize: 24 }, 5))).toEqual(inInputs(await train({ batchSize: 8 }, 15)));
});

test('ranks share every global batch', async () => {
  const whole = await train({ batchSize: 8 }, 6);
  const [first, second] = [
    await train({ batchSize: 4, rank: 0, worldSize: 2 }, 6),
    await train({ batchSize: 4, rank: 1, worldSize: 2 }, 6),
  ];
  whole.forEach((batch, step) => {
    expect([...first[step]!.labels, ...second[step]!.labels]).toEqual(batch.labels);
    expect([...first[step]!.inputs, ...second[step]!.inputs]).toEqual(batch.inputs);
  });
});

test('a batch larger than the data set spans epochs', async () => {
  const [batch] = await train({ batchSize: 120 }, 1);
  const counts = new Map<number, number>();
  for (const label of batch!.labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  expect([...counts.values()].every((count) => count === 2 || count === 3)).toBe(true);
});

test.each([1, 2, 5])(
  'evaluation gives every image once, a partial last batch, then undefined, then starts over (%i workers)',
  async (workers) => {
    const loader = opened(
      createEvaluationLoader({ images: numbered(50), shape, preprocessing: plain, batchSize: 16, workers, ahead: 3 }),
    );
    for (let pass = 0; pass < 3; pass++) {
      const labels: number[] = [];
      const counts: number[] = [];
      for (let batch = await loader.next(); batch !== undefined; batch = await loader.next()) {
        counts.push(batch.count);
        for (let row = 0; row < batch.count; row++) expect(Math.round(batch.inputs[row * 16]!)).toBe(batch.labels[row]);
        labels.push(...batch.labels.subarray(0, batch.count));
      }
      expect(counts).toEqual([16, 16, 16, 2]);
      expect(labels).toEqual([...Array(50).keys()]);
    }
  },
);

test('an evaluation view mirrors every image', async () => {
  const view = { mirror: true, shift: [0, 0] } as const;
  const [batch] = await take(
    opened(createEvaluationLoader({ images: numbered(3), shape, preprocessing: plain, batchSize: 2, view })),
    1,
  );
  expect(Math.round(batch!.inputs[16 + 3]!)).toBe(1);
});

test('a batch stays as it is until the next call, however far the workers are ahead', async () => {
  const loader = opened(
    createTrainingLoader({ images: numbered(50), shape, preprocessing: plain, batchSize: 8, seed: 1, firstStep: 0, ahead: 1 }),
  );
  const batch = (await loader.next())!;
  const before = [...batch.inputs];
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([...batch.inputs]).toEqual(before);
  // The workers had time for the next one, so it is not waited for.
  const waited = loader.waitMs;
  await loader.next();
  expect(loader.waitMs).toBe(waited);
});

test("a worker's error rejects next() with the cause", async () => {
  const images = { ...numbered(5), labels: undefined } as unknown as ImageSet;
  const loader = opened(createTrainingLoader({ images, shape, preprocessing: plain, batchSize: 2, seed: 1, firstStep: 0 }));
  await expect(loader.next()).rejects.toMatchObject({ message: expect.stringContaining('data loader thread failed') as string });
  await expect(loader.next()).rejects.toMatchObject({ cause: expect.any(TypeError) as TypeError });
});

test('dispose ends a waiting next() and can be called twice', async () => {
  const loader = createTrainingLoader({ images: numbered(5), shape, preprocessing: plain, batchSize: 2, seed: 1, firstStep: 0 });
  const waiting = expect(loader.next()).rejects.toThrow('disposed');
  await loader.dispose();
  await loader.dispose();
  await waiting;
});

test('options out of range are refused', () => {
  const options = { images: numbered(5), shape, preprocessing: plain, batchSize: 2, seed: 1, firstStep: 0 };
  const refused = (changes: Partial<TrainingLoaderOptions>, message: string): void =>
    expect(() => createTrainingLoader({ ...options, ...changes })).toThrow(new RegExp(`^${message}$`));
  refused({ batchSize: 0 }, 'batchSize \\(=0\\) must be an integer of at least 1');
  refused({ batchSize: 1.5 }, 'batchSize \\(=1.5\\) must be an integer of at least 1');
  refused({ seed: -1 }, 'seed \\(=-1\\) must be an integer of at least 0');
  refused({ firstStep: -1 }, 'firstStep \\(=-1\\) must be an integer of at least 0');
  refused({ workers: 0 }, 'workers \\(=0\\) must be an integer of at least 1');
  refused({ ahead: 0 }, 'ahead \\(=0\\) must be an integer of at least 1');
  refused({ worldSize: 0 }, 'worldSize \\(=0\\) must be an integer of at least 1');
  refused({ rank: 2, worldSize: 2 }, 'rank \\(=2\\) must be an integer from 0 to 1');
  refused({ rank: -1, worldSize: 2 }, 'rank \\(=-1\\) must be an integer from 0 to 1');
  refused({ images: { ...options.images, count: 0 } }, 'number of images \\(=0\\) must be an integer of at least 1');
  refused({ preprocessing: { ...plain, inputSize: 5 } }, 'inputSize \\(=5\\) .*');
  for (const shift of [
    [4, 0],
    [0, 4],
    [-4, 0],
    [0, 0.5],
  ] as const) {
    expect(() => createEvaluationLoader({ ...options, view: { mirror: false, shift } })).toThrow(
      /^shift \(=.*\) must be an integer from -3 to 3$/,
    );
  }
});

test('the largest shifts are taken: a view moves images down and to the right, mirrored at the border', async () => {
  const view = { mirror: false, shift: [3, -3] } as const;
  const images = numbered(2);
  const [batch] = await take(opened(createEvaluationLoader({ images, shape, preprocessing: plain, batchSize: 2, view })), 1);
  // Rows 3 2 1 0 of the image, and its columns 3 2 1 0.
  const upsideDown = [...images.images].slice(0, 16).reverse();
  expect(batch!.inputs.slice(0, 16).map(Math.round)).toEqual(upsideDown);
});

test('a process that forgets to dispose of its loader ends', async () => {
  const module = new URL('./loader.ts', import.meta.url).href;
  const code = `
    const { createEvaluationLoader } = await import(${JSON.stringify(module)});
    const images = { count: 9, images: new Uint8Array(new SharedArrayBuffer(144)), labels: new Uint8Array(new SharedArrayBuffer(9)) };
    const loader = createEvaluationLoader({ images, shape: [1, 4, 4], preprocessing: ${JSON.stringify(plain)}, batchSize: 4 });
    console.log((await loader.next()).count, (await loader.next()).count, (await loader.next()).count);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', code], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 60_000,
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  expect(exitCode).toBe(0);
  expect(output).toBe('4 4 1\n');
});
