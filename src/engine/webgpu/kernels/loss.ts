/** Softmax cross-entropy with its gradient in WGSL, a thread for each example. The formulas are those of the engines' loss on the processor. */
import { float, shader, threadIndex } from './shader.ts';

export interface LossText {
  readonly batchSize: number;
  readonly classes: number;
  /** N of the mean. */
  readonly wholeBatchSize: number;
  readonly labelSmoothing: number;
  readonly distillation: { readonly weight: number; readonly temperature: number } | undefined;
  readonly workgroupSize: number;
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
  const { batchSize, classes, wholeBatchSize, labelSmoothing, distillation, workgroupSize } = options;
  const { weight = 0, temperature = 1 } = distillation ?? {};
  const teaches = distillation !== undefined;
  const logSum = (values: string) => `  var ${values}Most = ${values}[start];
  for (var k = 1u; k < ${classes}u; k++) { ${values}Most = max(${values}Most, ${values}[start + k]); }
  var ${values}Sum = 0.0;
  for (var k = 0u; k < ${classes}u; k++) { ${values}Sum += exp((${values}[start + k] - ${values}Most) / ${float(temperature)}); }
  let ${values}LogSum = log(${values}Sum) + ${values}Most / ${float(temperature)};`;
  return shader({
    buffers: [
      { name: 'logits', type: 'f32' },
      { name: 'gradient', type: 'f32', written: true },
      { name: 'targets', type: 'u32' },
      { name: 'losses', type: 'u32', written: true },
      ...(teaches ? [{ name: 'teacher', type: 'f32' } as const] : []),
    ],
    parameters: { first: 'u32' },
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
    let q = ${float(1 - labelSmoothing)} * hit + ${float(labelSmoothing / classes)};
    var change = exp(shifted) / sum - q;
    var part = select(0.0, q * (logSum - shifted), q > 0.0);
${
  teaches
    ? `    let logP = logits[start + k] / ${float(temperature)} - logitsLogSum;
    let logR = teacher[start + k] / ${float(temperature)} - teacherLogSum;
    let r = exp(logR);
    change = ${float(1 - weight)} * change + ${float(weight * temperature)} * (exp(logP) - r);
    part = ${float(1 - weight)} * part + ${float(weight * temperature ** 2)} * select(0.0, r * (logR - logP), r > 0.0);`
    : ''
}
    gradient[start + k] = change / ${float(wholeBatchSize)};
    loss += part;
  }
  losses[parameters.first + i] = select(0x7fc00000u, bitcast<u32>(loss), isFinite);`,
  });
}
