import { buildPlan } from '../src/deploy/mcu/build.ts';
import { codeFiles } from '../src/deploy/mcu/c/files.ts';
import { planMemory } from '../src/deploy/mcu/memory.ts';
import { createTwin } from '../src/deploy/mcu/twin.ts';
import { toInterleaved } from '../src/deploy/pixels.ts';
import { deviceImages, type DeviceCase } from './device-networks.ts';

export interface DeviceCode {
  /** By name. */
  readonly files: ReadonlyMap<string, string>;
  /** The test images, `[side, side, 3]` each. */
  readonly images: readonly Uint8Array[];
  /** What the twin makes of them, `[count, classes]`. */
  readonly logits: Int8Array;
}

/** The C code of a case, under a name of its own, with so many test images that did not calibrate. */
export async function deviceCode({ trained, side, classes }: DeviceCase, name: string, count: number): Promise<DeviceCode> {
  const range = { method: 'min-max', percentile: 100 } as const;
  const { plan } = await buildPlan(trained, { images: deviceImages(side, 64), shape: [3, side, side], range });
  const twin = createTwin(plan);
  const pixels = toInterleaved(deviceImages(side, count, 2).images, count, side, side);
  const logits = new Int8Array(count * classes);
  const imageOf = (n: number) => pixels.subarray(n * 3 * side * side, (n + 1) * 3 * side * side);
  const images = Array.from({ length: count }, (_, n) => imageOf(n));
  images.forEach((image, n) => twin.run(image, logits.subarray(n * classes, (n + 1) * classes)));
  const names = Array.from({ length: classes }, (_, k) => `class ${k}`);
  const options = { name, plan, memory: planMemory(plan), classes: names, origin: [`the case ${name}`] };
  return { files: codeFiles(options, { images: pixels, logits, count }), images, logits };
}
