/** Softmax cross-entropy with its gradient in WGSL, a thread for each example. The formulas are those of the engines' loss on the processor. */
import { float, shader, threadIndex, type ShaderBuffer } from './shader.ts';

export interface LossText {
  readonly batchSize: number;
  readonly classes: number;
  /** N of the mean. */
  readonly wholeBatchSize: number;
  /** Whether there are a teacher's logits. */
  readonly teaches: boolean;
  readonly workgroupSize: number;
}

/** The buffers in their order, each the part of a lane. */
export function lossBuffers(teaches: boolean): readonly ShaderBuffer[] {
  const buffers: readonly Omit<ShaderBuffer, 'storage'>[] = [
    { name: 'logits', type: 'f32' },
    { name: 'gradient', type: 'f32', written: true },
    { name: 'targets', type: 'u32' },
    { name: 'losses', type: 'u32', written: true },
    ...(teaches ? [{ name: 'teacher', type: 'f32' } as const] : []),
  ];
  return buffers.map((buffer) => ({ ...buffer, storage: {} }));
}

/** The numbers behind the starts of the buffers' parts; the first element of the losses comes before them. */
export function lossNumbers(
  classes: number,
  labelSmoothing: number,
  distillation: { readonly weight: number; readonly temperature: number } | undefined,
): Float32Array {
  const { weight = 0, temperature = 1 } = distillation ?? {};
  const smoothing = [1 - labelSmoothing, labelSmoothing / classes];
  return Float32Array.of(...smoothing, 1 - weight, weight * temperature, weight * temperature ** 2, temperature);
}

/**
 * Buffers: logits and gradient `[N, classes]`; targets `[3, N]`: labels, second labels, and the first ones' shares as bits of floats; the examples' losses, as
 * bits of floats, from element `first` on; the teacher's logits, if there is one.
 *
 *     q = (1 - smoothing) * (share * onehot(label) + (1 - share) * onehot(second)) + smoothing / K
 *     loss = sum_k q_k (log(sum_j exp(z_j)) - z_k);  d loss / d z_k = (softmax(z)_k - q_k) / N
 *
 * With a teacher's logits t (Hinton et al., 2015), p = softmax(z / T) and r = softmax(t / T):
 *
 *     loss = (1 - a) * the above + a * T^2 * sum_k r_k (log r_k - log p_k);  its gradient (1 - a) * the above + a * T * (p_k - r_k) / N
 *
 * Shaders may take it for granted that all numbers are finite: whether the logits are is seen from their bits, and the loss is then none.
 */
export function lossText(options: LossText): string {
  const { batchSize, classes, wholeBatchSize, teaches, workgroupSize } = options;
  const logSum = (values: string) => `  var ${values}Most = ${values}[start];
  for (var k = 1u; k < ${classes}u; k++) { ${values}Most = max(${values}Most, ${values}[start + k]); }
  var ${values}Sum = 0.0;
  for (var k = 0u; k < ${classes}u; k++) { ${values}Sum += exp((${values}[start + k] - ${values}Most) / parameters.temperature); }
  let ${values}LogSum = log(${values}Sum) + ${values}Most / parameters.temperature;`;
  return shader({
    buffers: lossBuffers(teaches),
    parameters: {
      ...{ first: 'u32', hit: 'f32', miss: 'f32' },
      ...{ ownPart: 'f32', pull: 'f32', taughtPart: 'f32', temperature: 'f32' },
    },
    workgroupSize,
    body: `${threadIndex(batchSize, workgroupSize)}
  let start = i * ${classes}u;
  var most = logits[start];
  var isFinite = true;
  for (var k = 0u; k < ${classes}u; k++) {
    let z = logits[start + k];
    most = max(most, z);
    isFinite = isFinite && (bitcast<u32>(z) & 0x7f800000u) != 0x7f800000u;
  }
  var sum = 0.0;
  for (var k = 0u; k < ${classes}u; k++) { sum += exp(logits[start + k] - most); }
  let logSum = log(sum);
  let label = targets[i];
  let second = targets[${batchSize}u + i];
  let share = bitcast<f32>(targets[${2 * batchSize}u + i]);
${teaches ? `${logSum('logits')}\n${logSum('teacher')}` : ''}
  var loss = 0.0;
  for (var k = 0u; k < ${classes}u; k++) {
    let shifted = logits[start + k] - most;
    let hit = select(0.0, share, k == label) + select(0.0, 1.0 - share, k == second);
    let q = parameters.hit * hit + parameters.miss;
    var change = exp(shifted) / sum - q;
    var part = select(0.0, q * (logSum - shifted), q > 0.0);
${
  teaches
    ? `    let logP = logits[start + k] / parameters.temperature - logitsLogSum;
    let logR = teacher[start + k] / parameters.temperature - teacherLogSum;
    let r = exp(logR);
    change = parameters.ownPart * change + parameters.pull * (exp(logP) - r);
    part = parameters.ownPart * part + parameters.taughtPart * select(0.0, r * (logR - logP), r > 0.0);`
    : ''
}
    gradient[start + k] = change / ${float(wholeBatchSize)};
    loss += part;
  }
  losses[parameters.first + i] = select(0x7fc00000u, bitcast<u32>(loss), isFinite);`,
  });
}
