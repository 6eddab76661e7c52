/** The TensorFlow Lite files of devices: LiteRT and TensorFlow Lite Micro compute the twin's logits from them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../src/deploy/mcu/build.ts';
import { elementsOf } from '../src/deploy/mcu/graph.ts';
import type { Plan } from '../src/deploy/mcu/plan.ts';
import { tfliteFile } from '../src/deploy/mcu/tflite/model.ts';
import { createTwin } from '../src/deploy/mcu/twin.ts';
import { toInterleaved } from '../src/deploy/pixels.ts';
import { deviceCases, deviceImages, type DeviceCase } from './device-networks.ts';
import { operatorCases } from './operator-plans.ts';
import { skippable } from './skippable.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-tflite-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const count = 40;

/** A plan, images of it, and what the twin makes of them; the files that LiteRT reads are there under its number. */
interface Case {
  readonly name: string;
  readonly number: number;
  readonly plan: Plan;
  readonly logits: Int8Array;
}

const networks: Case[] = [];
const operators: Case[] = [];
const fileOf = ({ number }: Pick<Case, 'number'>, ending: string) => join(folder, `${number}.${ending}`);

async function planOf({ trained, side }: DeviceCase): Promise<Plan> {
  const calibration = {
    images: deviceImages(side, 64),
    shape: [3, side, side],
    range: { method: 'min-max', percentile: 100 },
  } as const;
  return (await buildPlan(trained, calibration)).plan;
}

/** @param pixels `[images, height, width, channels]` */
function prepare(name: string, plan: Plan, pixels: Uint8Array): Case {
  const length = elementsOf(plan.input.extent);
  const classes = plan.output.extent.channels;
  const images = pixels.length / length;
  const logits = new Int8Array(images * classes);
  const twin = createTwin(plan);
  for (let i = 0; i < images; i++) {
    twin.run(pixels.subarray(i * length, (i + 1) * length), logits.subarray(i * classes, (i + 1) * classes));
  }
  const prepared = { name, number: networks.length + operators.length, plan, logits };
  writeFileSync(fileOf(prepared, 'tflite'), tfliteFile(plan, name));
  writeFileSync(fileOf(prepared, 'images'), pixels);
  return prepared;
}

beforeAll(async () => {
  for (const each of deviceCases) {
    const pixels = toInterleaved(deviceImages(each.side, count, 2).images, count, each.side, each.side);
    networks.push(prepare(each.name, await planOf(each), pixels));
  }
  for (const { name, plan, pixels } of operatorCases()) operators.push(prepare(name, plan, pixels));
});

/** The logits of all cases, one after the other. */
function run(runtime: 'reference' | 'default' | 'micro', cases: readonly Case[]): Int8Array[] {
  const script = join(import.meta.dirname, 'tflite_runtimes.py');
  const paths = cases.flatMap((each) => [fileOf(each, 'tflite'), fileOf(each, 'images')]);
  const { stdout, stderr, status } = spawnSync('python3', [script, runtime, ...paths], { maxBuffer: 2 ** 26 });
  expect(status, stderr.toString()).toBe(0);
  const all = Int8Array.from(stdout);
  let start = 0;
  return cases.map(({ logits }) => all.subarray(start, (start += logits.length)));
}

function whyNo(module: string): string | undefined {
  if (spawnSync('python3', ['-c', `import ${module}`]).status === 0) return undefined;
  return `there is no Python with the ${module.replaceAll('_', '-')} package (pip install)`;
}
const noLiteRt = whyNo('ai_edge_litert');
const noMicro = whyNo('tflite_micro');

const differences = (a: Int8Array, b: Int8Array) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
/** Products and leaky ReLU add up what is rounded twice. */
const mostApart = ({ name }: Case) => (name === 'curves' || name === 'squeeze and excitation' ? 6 : 2);
/** The part of the logits that are not the same. */
const partOther = (a: Int8Array, b: Int8Array) => a.filter((value, i) => value !== b[i]).length / a.length;

describe('LiteRT', () => {
  test.skipIf(noLiteRt !== undefined)(skippable('its usual kernels give the logits to the bit', noLiteRt), () => {
    run('default', networks).forEach((logits, i) => expect(logits, networks[i]!.name).toEqual(networks[i]!.logits));
  });

  test.skipIf(noLiteRt !== undefined)(skippable('and every operator, at halves too', noLiteRt), () => {
    run('default', operators).forEach((results, i) => {
      const { name, logits } = operators[i]!;
      expect(results, name).toEqual(logits);
      // Not a few integers alone; of a ReLU6 that ends early fewest.
      expect(new Set(logits).size, name).toBeGreaterThan(20);
    });
  });

  test.skipIf(noLiteRt !== undefined)(skippable('its reference kernels, which round twice, to two units', noLiteRt), () => {
    run('reference', networks).forEach((logits, i) => {
      const each = networks[i]!;
      expect(differences(logits, each.logits), each.name).toBeLessThanOrEqual(mostApart(each));
    });
  });
});

test.skipIf(noMicro !== undefined)(skippable('TensorFlow Lite Micro, which rounds twice, to two units', noMicro), () => {
  // It has no GELU.
  const cases = networks.filter(({ name }) => !name.includes('GELU'));
  run('micro', cases).forEach((logits, i) => {
    const each = cases[i]!;
    expect(differences(logits, each.logits), each.name).toBeLessThanOrEqual(mostApart(each));
    // Of most logits it is none.
    expect(partOther(logits, each.logits), each.name).toBeLessThan(0.5);
  });
});
