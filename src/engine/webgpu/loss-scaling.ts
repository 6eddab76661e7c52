/**
 * Loss scaling for gradients in float16 (Micikevicius et al., 2018): the backward pass computes with the gradient of the loss times a scale, so that small gradients are
 * not rounded to zero. The device decides by itself, and nothing waits: a step whose gradients have overflowed is left out, and the scale halved. The scale
 * is a power of two, so that gradients lose nothing when they are divided by it.
 */
import { ConfigurationError } from '../../util/errors.ts';
import type { LossScale } from '../engine.ts';
import type { Gpu } from './gpu.ts';
import { float, shader, threadIndex, workgroupsFor } from './kernels/shader.ts';
import type { Lowering } from './lowering.ts';
import type { Use } from './program.ts';
import type { Storage } from './tensor.ts';

/** The scale that a training begins with. */
export const firstScale = 2 ** 12;
/** Steps without an overflow after which the scale is doubled. */
export const stepsToGrow = 1000;
/** Gradients that overflow at the least scale would do so without one; the largest keeps what is divided by it a normal number. */
export const leastScale = 2 ** -14;
const largestScale = 2 ** 24;

/** The state of a lane, in float32: the scale of the next step, its inverse, the two counts of `LossScale`, whether the last step is left out, and the inverse of its scale. */
export const stateLength = 6;
const [scaleAt, inverseAt, goodAt, skippedAt, skipsAt, usedInverseAt] = [0, 1, 2, 3, 4, 5] as const;

/** Whether the last step is left out, as an element of the state. */
export const skipElement = skipsAt;

export const firstState: LossScale = { scale: firstScale, goodSteps: 0, skippedSteps: 0 };

export function encodeState({ scale, goodSteps, skippedSteps }: LossScale): Float32Array {
  const state = new Float32Array(stateLength);
  state[scaleAt] = scale;
  state[inverseAt] = state[usedInverseAt] = 1 / scale;
  state[goodAt] = goodSteps;
  state[skippedAt] = skippedSteps;
  return state;
}

export function decodeState(state: Float32Array): LossScale {
  return { scale: state[scaleAt]!, goodSteps: state[goodAt]!, skippedSteps: state[skippedAt]! };
}

function stateUse(storage: Storage, written = false): Use {
  return { name: 'scaling', type: 'f32', storage, ...(written && { written }) };
}

/** What multiplies a gradient by the scale of the step. */
export function scaledBy(storage: Storage): { readonly expression: string; readonly uses: () => readonly Use[] } {
  return { expression: `x * scaling[${scaleAt}]`, uses: () => [stateUse(storage)] };
}

/** Gradients that a thread looks at. */
const perThread = 16;
const mostThreads = 1024;

/**
 * The end of the backward pass. Looks for gradients that are not finite; decides on the step and on the next one's scale; and takes the scale out of the gradients.
 * Those of a step that is left out become zero.
 */
export function endScaledPass(c: Lowering, storage: Storage): void {
  const { length } = c.gradients;
  const threads = Math.min(mostThreads, Math.ceil(length / perThread));
  const counts = c.builder.storage('gradients that are not finite', threads);
  // Shaders may take it for granted that floats are finite: so it is asked of their bits.
  c.threads(
    'loss scaling',
    'backward',
    threads,
    [
      { name: 'gradients', type: 'u32', storage: c.gradients },
      { name: 'counts', type: 'u32', storage: counts, written: true },
    ],
    `  var count = 0u;
  for (var at = i; at < ${length}u; at += ${threads}u) { count += select(0u, 1u, (gradients[at] & 0x7f800000u) == 0x7f800000u); }
  counts[i] = count;`,
  );
  c.threads(
    'loss scaling',
    'backward',
    1,
    [{ name: 'counts', type: 'u32', storage: counts }, stateUse(storage, true)],
    `  var count = 0u;
  for (var at = 0u; at < ${threads}u; at++) { count += counts[at]; }
  let scale = scaling[${scaleAt}];
  let inverse = scaling[${inverseAt}];
  let good = scaling[${goodAt}] + 1.0;
  let skips = count > 0u;
  let grows = !skips && good >= ${float(stepsToGrow)};
  // Halves and doubles are exact, which a quotient need not be.
  let doubles = grows && scale < ${float(largestScale)};
  let halves = skips && scale > ${float(leastScale)};
  scaling[${scaleAt}] = scale * select(select(1.0, 0.5, halves), 2.0, doubles);
  scaling[${inverseAt}] = inverse * select(select(1.0, 2.0, halves), 0.5, doubles);
  scaling[${goodAt}] = select(good, 0.0, grows || skips);
  scaling[${skippedAt}] = scaling[${skippedAt}] + select(0.0, 1.0, skips);
  scaling[${skipsAt}] = select(0.0, 1.0, skips);
  scaling[${usedInverseAt}] = inverse;`,
  );
  c.threads(
    'loss scaling',
    'backward',
    length,
    [stateUse(storage), { name: 'gradients', type: 'f32', storage: c.gradients, written: true }],
    `  gradients[i] = select(gradients[i] * scaling[${usedInverseAt}], 0.0, scaling[${skipsAt}] != 0.0);`,
  );
}

/** What float16 must make of these numbers: an overflow is infinite, and what is in range is no more than a bit off. */
const tried = Float32Array.of(2 ** 17, -1e6, 1 / 3, -60_000);

/** @throws ConfigurationError where the device has no float16, or one in which an overflow would go unnoticed */
export async function requireFloat16(gpu: Gpu): Promise<void> {
  const fix = '--precision f32';
  if (!gpu.device.features.has('shader-f16')) {
    throw new ConfigurationError(
      `precision (="f16") needs a graphics card and driver with "shader-f16", which ${gpu.description} does not have`,
      { fix },
    );
  }
  const { length } = tried;
  const { workgroupSize } = gpu.tuning;
  const convert = async (from: 'f32' | 'f16', to: 'f32' | 'f16') => {
    const buffers = [
      { name: 'given', type: from },
      { name: 'made', type: to, written: true },
    ] as const;
    const body = `${threadIndex(length, workgroupSize)}\n  made[i] = given[i];`;
    return await gpu.compile(shader({ buffers, workgroupSize, body }), [false, true]);
  };
  const [round, widen] = [await convert('f32', 'f16'), await convert('f16', 'f32')];
  const [given, halves, made] = ['given', 'halves', 'made'].map((label) => gpu.createBuffer(length, label)) as [
    GPUBuffer,
    GPUBuffer,
    GPUBuffer,
  ];
  try {
    gpu.writeAhead(given, 0, tried);
    const workgroups = workgroupsFor(length, workgroupSize);
    gpu.enqueue(gpu.bind(round, [given, halves], 'float16'), workgroups);
    gpu.enqueue(gpu.bind(widen, [halves, made], 'float16'), workgroups);
    const found = new Float32Array(await gpu.read(made, 0, length));
    const isRight = found.every((value, i) => {
      const expected = tried[i]!;
      if (Math.abs(expected) > 2 ** 16) return !Number.isFinite(value);
      return Math.abs(value - expected) <= Math.abs(expected) * 2 ** -10;
    });
    if (isRight) return;
    throw new ConfigurationError(
      `precision (="f16") does not work on ${gpu.description}: it makes ${[...found].join(', ')} of ${[...tried].join(', ')} in float16`,
      { fix },
    );
  } finally {
    for (const buffer of [given, halves, made]) buffer.destroy();
  }
}
