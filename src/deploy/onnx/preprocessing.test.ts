import { expect, test } from 'vitest';
import type { Standardization } from '../../data/preprocessing.ts';
import { InferenceSession, Tensor } from '../onnx-runtime.ts';
import { buildGraph } from './graph.ts';
import { addPreprocessing } from './preprocessing.ts';
import { encodeModel } from './schema.ts';

/** Runs preprocessing alone; `[N, H, W, 3]` bytes in, `[N, 3, size, size]` out. */
async function run(
  size: number,
  standardization: Standardization,
  shape: readonly [number, number, number],
  bytes: readonly number[],
) {
  const face = {
    name: 'g',
    input: { name: 'x', type: 'uint8', shape: ['N', 'H', 'W', 3] },
    outputs: [{ name: 'y', type: 'float', shape: ['N', 3, size, size] }],
  } as const;
  const graph = buildGraph(face, (builder) => [addPreprocessing(builder, 'x', [3, size, size], standardization)]);
  const model = encodeModel({ producerName: 't', producerVersion: '1', docString: '', graph, metadata: {} });
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  try {
    const { y } = await session.run({ x: new Tensor('uint8', Uint8Array.from(bytes), [...shape, 3]) });
    return { shape: y!.dims, values: [...(y!.data as Float32Array)] };
  } finally {
    await session.release();
  }
}

const close = (values: readonly number[]) => values.map((each) => expect.closeTo(each, 5) as number);

/** Row, column and channel of each byte, to be read off. */
const coded = (height: number, width: number) =>
  Array.from(
    { length: height * width * 3 },
    (_, i) => 100 * (i % 3) + 10 * Math.floor(i / 3 / width) + (Math.floor(i / 3) % width),
  );

/** (x / 255 - 0) / (1 / 255) is x. */
const identity: Standardization = { type: 'channel', mean: [0, 0, 0], deviation: [1 / 255, 1 / 255, 1 / 255] };

test('the centre is cut out, from floor((extent - size) / 2) on, and channels come first', async () => {
  // Rows 1 and 2 of 5 (floor(3 / 2) = 1), columns 1 and 2 of 4.
  const { shape, values } = await run(2, identity, [1, 5, 4], coded(5, 4));
  expect(shape).toEqual([1, 3, 2, 2]);
  expect(values).toEqual(close([11, 12, 21, 22, 111, 112, 121, 122, 211, 212, 221, 222]));
  await expect(run(3, identity, [1, 2, 4], coded(2, 4))).rejects.toThrow();
});

test('channel by channel with constants', async () => {
  const standardization: Standardization = { type: 'channel', mean: [0.2, 0.4, 0.6], deviation: [0.5, 0.25, 0.125] };
  // (51/255 - 0.2) / 0.5 = 0, (153/255 - 0.4) / 0.25 = 0.8, (255/255 - 0.6) / 0.125 = 3.2; and 0 for the second image.
  const { values } = await run(1, standardization, [2, 1, 1], [51, 153, 255, 0, 0, 0]);
  expect(values).toEqual(close([0, 0.8, 3.2, -0.4, -1.6, -4.8]));
});

test('over the image, whose deviation counts as at least 1 / sqrt(n)', async () => {
  const images = [...[0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 100, 100], ...Array<number>(12).fill(7)];
  const { values } = await run(2, { type: 'image' }, [2, 2, 2], images);
  // Mean 25, deviation sqrt((3 * 75^2 + 9 * 25^2) / 12) = sqrt(1875); the second image is constant.
  const [dark, bright] = [-25 / Math.sqrt(1875), 75 / Math.sqrt(1875)];
  expect(values).toEqual(
    close([dark, dark, dark, bright, dark, dark, dark, bright, dark, dark, dark, bright, ...Array<number>(12).fill(0)]),
  );
  // One pixel a step brighter than the eleven others: deviation sqrt(11) / 12 = 0.276, below 1 / sqrt(12) = 0.289.
  const { values: faint } = await run(2, { type: 'image' }, [1, 2, 2], [...Array<number>(11).fill(9), 10]);
  expect(faint[0]).toBeCloseTo((-1 / 12) * Math.sqrt(12), 5);
  expect(faint[11]).toBeCloseTo((11 / 12) * Math.sqrt(12), 5);
});
