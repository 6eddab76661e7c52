/** The files against an interpreter of this project's tests. test/tflite.test.ts runs them in LiteRT and in TensorFlow Lite Micro. */
import { expect, test } from 'vitest';
import { deviceCases, deviceImages, type DeviceCase } from '../../../../test/device-networks.ts';
import { operatorCases } from '../../../../test/operator-plans.ts';
import { readTflite, runTflite } from '../../../../test/tflite-interpreter.ts';
import { told } from '../../../../test/told.ts';
import { toInterleaved } from '../../pixels.ts';
import { buildPlan } from '../build.ts';
import type { Plan } from '../plan.ts';
import { createTwin } from '../twin.ts';
import { requireTfliteOperators, tfliteFile } from './model.ts';

async function planOf({ trained, side }: DeviceCase): Promise<Plan> {
  const range = { method: 'min-max', percentile: 100 } as const;
  return (await buildPlan(trained, { images: deviceImages(side, 64), shape: [3, side, side], range })).plan;
}

/** Of images one after the other: what the file makes of them, and what the twin does. */
function results(plan: Plan, pixels: Uint8Array, images: number) {
  const model = readTflite(tfliteFile(plan, 'a case'));
  const twin = createTwin(plan);
  const length = pixels.length / images;
  return Array.from({ length: images }, (_, i) => {
    const image = pixels.subarray(i * length, (i + 1) * length);
    const logits = new Int8Array(plan.output.extent.channels);
    twin.run(image, logits);
    return {
      file: [
        ...runTflite(
          model,
          Int8Array.from(image, (byte) => byte - 128),
        ),
      ],
      twin: [...logits],
    };
  });
}

test.each(deviceCases)('$name', async (each) => {
  const plan = await planOf(each);
  const pixels = toInterleaved(deviceImages(each.side, 2, 2).images, 2, each.side, each.side);
  for (const { file, twin } of results(plan, pixels, 2)) expect(file).toEqual(twin);
});

test('every operator by itself', () => {
  for (const { name, plan, pixels } of operatorCases()) {
    const { height, width, channels } = plan.input.extent;
    const length = height * width * channels;
    const [{ file, twin }] = results(plan, pixels.subarray(0, length), 1) as [{ file: number[]; twin: number[] }];
    expect(file, name).toEqual(twin);
  }
});

test('ReLUs belong to the operators before them; integers end where a hard sigmoid does', async () => {
  const codes = { none: 0, unit: 0, relu: 1, relu6: 3 };
  // The field of ADD, CONV_2D and DEPTHWISE_CONV_2D.
  const fields = new Map([
    [0, 0],
    [3, 3],
    [4, 4],
  ]);
  const seen = new Set<string>();
  for (const each of deviceCases) {
    const plan = await planOf(each);
    const { operators, tensors } = readTflite(tfliteFile(plan, ''));
    for (const { code, options, outputs } of operators) {
      const field = fields.get(code);
      if (field === undefined) continue;
      const { name } = tensors[outputs[0]!]!;
      const step = plan.steps.find((one) => one.name === name)!;
      const clamp = ('clamp' in step ? step.clamp : null) ?? 'none';
      expect(options!.byte(field), `${each.name}: ${name}`).toBe(codes[clamp]);
      seen.add(`${step.kind} ${clamp}`);
    }
  }
  expect([...seen].sort()).toEqual([
    ...['add none', 'add relu', 'conv none', 'conv relu', 'conv relu6', 'conv unit'],
    'globalAverage none',
  ]);
});

test('tensors have the names of what makes them; the same plan gives the same bytes', async () => {
  const plan = await planOf(deviceCases.find(({ name }) => name.startsWith('average pools'))!);
  const file = tfliteFile(plan, 'what it is');
  const { description, tensors, inputs, outputs } = readTflite(file);
  expect(description).toBe('what it is');
  const names = tensors.map(({ name }) => name);
  expect([names[inputs[0]!], names[outputs[0]!]]).toEqual(['image', 'logits']);
  const ofLayer = (name: string) => [name, `${name}/weights`, `${name}/bias`];
  expect(names).toEqual([
    ...['image', ...ofLayer('conv1'), 'conv1/padded', 'conv1/padding', 'average'],
    ...['conv2', 'hidden', 'logits'].flatMap(ofLayer),
    ...['logits', 'logits/shape'],
  ]);
  expect(tfliteFile(plan, 'what it is')).toEqual(file);
});

test('an average pool that TensorFlow Lite cannot pad is refused', async () => {
  const plan = await planOf(deviceCases.find(({ name }) => name.startsWith('average pools'))!);
  const steps = plan.steps.map((step) =>
    step.kind === 'avgPool' ? { ...step, window: { ...step.window, padding: [1, 0, 0, 1] as const } } : step,
  );
  const refused = {
    kind: 'DataError',
    message: 'TensorFlow Lite cannot pad the average pool "average" as the network does',
    fix: 'give it the padding same or valid; or export C, which can',
  };
  expect(told(() => tfliteFile({ ...plan, steps }, ''))).toEqual(refused);
  expect(told(() => requireTfliteOperators(steps))).toEqual(refused);
  expect(() => requireTfliteOperators(plan.steps)).not.toThrow();
});
