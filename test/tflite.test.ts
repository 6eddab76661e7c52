/** The TensorFlow Lite files of devices: LiteRT and TensorFlow Lite Micro compute the twin's logits from them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../src/deploy/mcu/build.ts';
import type { Plan } from '../src/deploy/mcu/plan.ts';
import { tfliteFile } from '../src/deploy/mcu/tflite/model.ts';
import { createTwin } from '../src/deploy/mcu/twin.ts';
import { toInterleaved } from '../src/deploy/pixels.ts';
import { deviceCases, deviceImages, type DeviceCase } from './device-networks.ts';
import { skippable } from './skippable.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-tflite-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const count = 40;
const logitsOf = new Map<DeviceCase, Int8Array>();
const fileOf = (each: DeviceCase, ending: string) => join(folder, `${deviceCases.indexOf(each)}.${ending}`);

async function planOf({ trained, side }: DeviceCase): Promise<Plan> {
  const calibration = {
    images: deviceImages(side, 64),
    shape: [3, side, side],
    range: { method: 'min-max', percentile: 100 },
  } as const;
  return (await buildPlan(trained, calibration)).plan;
}

beforeAll(async () => {
  for (const each of deviceCases) {
    const plan = await planOf(each);
    const { side, classes } = each;
    const twin = createTwin(plan);
    const pixels = toInterleaved(deviceImages(side, count, 2).images, count, side, side);
    const logits = new Int8Array(count * classes);
    const length = pixels.length / count;
    for (let i = 0; i < count; i++) {
      twin.run(pixels.subarray(i * length, (i + 1) * length), logits.subarray(i * classes, (i + 1) * classes));
    }
    logitsOf.set(each, logits);
    writeFileSync(fileOf(each, 'tflite'), tfliteFile(plan, each.name));
    writeFileSync(fileOf(each, 'images'), pixels);
  }
});

/** The logits of all cases, one after the other. */
function run(runtime: 'reference' | 'default' | 'micro', cases: readonly DeviceCase[]): Int8Array[] {
  const script = join(import.meta.dirname, 'tflite_runtimes.py');
  const paths = cases.flatMap((each) => [fileOf(each, 'tflite'), fileOf(each, 'images')]);
  const { stdout, stderr, status } = spawnSync('python3', [script, runtime, ...paths], { maxBuffer: 2 ** 26 });
  expect(status, stderr.toString()).toBe(0);
  const all = Int8Array.from(stdout);
  let start = 0;
  return cases.map(({ classes }) => all.subarray(start, (start += count * classes)));
}

function whyNo(module: string): string | undefined {
  if (spawnSync('python3', ['-c', `import ${module}`]).status === 0) return undefined;
  return `there is no Python with the ${module.replaceAll('_', '-')} package (pip install)`;
}
const noLiteRt = whyNo('ai_edge_litert');
const noMicro = whyNo('tflite_micro');

const differences = (a: Int8Array, b: Int8Array) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
/** Tables of curves are rounded once here, and in several steps by the kernels of TensorFlow Lite. */
const hasCurves = ({ name }: DeviceCase) => name === 'curves' || name === 'squeeze and excitation';
/** The part of the logits that are not the same. */
const partOther = (a: Int8Array, b: Int8Array) => a.filter((value, i) => value !== b[i]).length / a.length;

describe('LiteRT', () => {
  test.skipIf(noLiteRt !== undefined)(skippable('its kernels for processors give the logits to the bit', noLiteRt), () => {
    run('default', deviceCases).forEach((logits, i) => {
      const each = deviceCases[i]!;
      const expected = logitsOf.get(each)!;
      if (each.name === 'squeeze and excitation') expect(differences(logits, expected), each.name).toBeLessThanOrEqual(3);
      else if (hasCurves(each)) expect(differences(logits, expected), each.name).toBeLessThanOrEqual(1);
      else expect(logits, each.name).toEqual(expected);
    });
  });

  test.skipIf(noLiteRt !== undefined)(skippable('its reference kernels, which round twice, to two units', noLiteRt), () => {
    run('reference', deviceCases).forEach((logits, i) => {
      const each = deviceCases[i]!;
      expect(differences(logits, logitsOf.get(each)!), each.name).toBeLessThanOrEqual(hasCurves(each) ? 6 : 2);
    });
  });
});

test.skipIf(noMicro !== undefined)(skippable('TensorFlow Lite Micro, which rounds twice, to two units', noMicro), () => {
  // It has no GELU.
  const cases = deviceCases.filter(({ name }) => !name.includes('GELU'));
  run('micro', cases).forEach((logits, i) => {
    const each = cases[i]!;
    expect(differences(logits, logitsOf.get(each)!), each.name).toBeLessThanOrEqual(hasCurves(each) ? 6 : 2);
    // Of most logits it is none.
    expect(partOther(logits, logitsOf.get(each)!), each.name).toBeLessThan(0.5);
  });
});

test('a file names its format, and the same plan gives the same bytes', async () => {
  const plan = await planOf(deviceCases[1]!);
  const bytes = tfliteFile(plan, 'what it is');
  expect(Buffer.from(bytes.subarray(4, 8)).toString()).toBe('TFL3');
  expect(Buffer.from(bytes).includes('what it is')).toBe(true);
  expect(tfliteFile(plan, 'what it is')).toEqual(bytes);
});

test('an average pool that TensorFlow Lite cannot pad is refused', async () => {
  const plan = await planOf(deviceCases.find(({ name }) => name.startsWith('average pools'))!);
  const steps = plan.steps.map((step) =>
    step.kind === 'avgPool' ? { ...step, window: { ...step.window, padding: [1, 0, 0, 1] as const } } : step,
  );
  expect(() => tfliteFile({ ...plan, steps }, '')).toThrow(
    'TensorFlow Lite cannot pad the average pool "average" as the network does',
  );
});
