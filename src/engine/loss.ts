/** The loss of a batch and its gradient, on the host: what engines compute that have no device of their own, and the oracle of those that have. */
import type { LossOptions, Targets } from './engine.ts';

/** What the targets of a batch are, with the arrays of an engine on the host in place of its own. */
export interface HostTargets extends Omit<Targets, 'teacherLogits'> {
  /** `[n, K]` */
  readonly teacherLogits?: Float32Array | undefined;
}

/**
 * The whole loss of a plan's batch, as its options say.
 *
 * @param logits `[n, K]`
 * @param gradient `[n, K]`, overwritten with d loss / d logits
 * @returns the mean loss; of a part of a larger batch its share in the mean
 */
export function batchLoss(
  logits: Float32Array,
  { labels, mixed, teacherLogits }: HostTargets,
  { labelSmoothing = 0, wholeBatchSize = labels.length, distillation }: LossOptions,
  gradient: Float32Array,
): number {
  const loss = softmaxCrossEntropy(logits, labels, labelSmoothing, gradient, wholeBatchSize, mixed);
  if (distillation === undefined) return loss;
  if (teacherLogits === undefined) throw new Error('a loss with a teacher needs its logits');
  return addDistillation(logits, loss, { ...distillation, teacherLogits }, gradient, labels.length, wholeBatchSize);
}

/**
 * Softmax cross-entropy with label smoothing (Szegedy et al., 2015), and its gradient.
 *
 *     q = (1 - smoothing) * onehot(label) + smoothing / K
 * With examples mixed in pairs, q = (1 - smoothing) * ((1 - share) * onehot(label) + share * onehot(other label)) + smoothing / K.
 *
 *     loss = (1/N) * sum over examples of  log(sum_k exp(z_k)) - sum_k q_k z_k
 *     d loss / d z_k = (softmax(z)_k - q_k) / N
 *
 * The maximum is subtracted first, so that no exponential overflows. Anything that is not finite in the logits makes the loss not finite.
 *
 * @param logits `[n, K]`
 * @param labels `[n]`, class indices below K
 * @param gradient `[n, K]`, overwritten
 * @param batchSize N, if these n examples are a part of a larger batch
 * @param mixed the second label of each example
 * @returns the mean loss, in nats; of a part its share in the mean
 */
export function softmaxCrossEntropy(
  logits: Float32Array,
  labels: Targets['labels'],
  smoothing: number,
  gradient: Float32Array,
  batchSize = labels.length,
  mixed?: Targets['mixed'],
): number {
  const examples = labels.length;
  const classes = logits.length / examples;
  const share = smoothing / classes;
  const otherShare = mixed === undefined ? 0 : (1 - smoothing) * mixed.share;
  const ownShare = 1 - smoothing - otherShare;
  let total = 0;
  for (let n = 0; n < examples; n++) {
    const start = n * classes;
    const end = start + classes;
    const target = start + labels[n]!;
    let maximum = -Infinity;
    for (let i = start; i < end; i++) if (!(logits[i]! <= maximum)) maximum = logits[i]!;
    let sum = 0;
    let expected = 0;
    for (let i = start; i < end; i++) {
      const shifted = logits[i]! - maximum;
      const exponential = Math.exp(shifted);
      gradient[i] = exponential;
      sum += exponential;
      // Without smoothing, 0 * -Infinity would turn a harmless probability of zero into NaN.
      if (share > 0) expected += share * shifted;
    }
    // A share of zero of an infinite distance would be none.
    if (ownShare > 0) expected += ownShare * (logits[target]! - maximum);
    if (otherShare > 0) expected += otherShare * (logits[start + mixed!.labels[n]!]! - maximum);
    total += Math.log(sum) - expected;
    for (let i = start; i < end; i++) gradient[i] = (gradient[i]! / sum - share - (i === target ? ownShare : 0)) / batchSize;
    if (otherShare > 0) gradient[start + mixed!.labels[n]!]! -= otherShare / batchSize;
  }
  return total / batchSize;
}

/** What a student learns from its teacher, beside the labels. */
export interface Distillation {
  /** Of the same examples, `[n, K]`. */
  readonly teacherLogits: Float32Array;
  /** a: weight of the teacher's part, in [0, 1]. */
  readonly weight: number;
  /** T: above 0. */
  readonly temperature: number;
}

/**
 * Adds a teacher to a loss (Hinton et al., 2015, section 2). With p = softmax(z / T) of the student and q = softmax(t / T) of the teacher
 *
 *     loss = (1 - a) * labels' loss + a * T^2 * (1/N) * sum over examples of  sum_k q_k (log q_k - log p_k)
 *     d / d z_k = (1 - a) * labels' gradient + a * T * (p_k - q_k) / N
 *
 * The factor T^2 keeps the size of the teacher's gradients about the same for every temperature.
 *
 * @param logits `[n, K]`
 * @param labelsLoss what `softmaxCrossEntropy` returned for these examples
 * @param gradient `[n, K]`: what it wrote, changed to the gradient of the whole
 * @param examples n
 * @param batchSize N, if these n examples are a part of a larger batch
 * @returns the whole loss; of a part its share in the mean
 */
export function addDistillation(
  logits: Float32Array,
  labelsLoss: number,
  { teacherLogits, weight, temperature }: Distillation,
  gradient: Float32Array,
  examples: number,
  batchSize = examples,
): number {
  const classes = logits.length / examples;
  const factor = (weight * temperature) / batchSize;
  let divergence = 0;
  for (let n = 0; n < examples; n++) {
    const start = n * classes;
    const student = logSumExp(logits, start, classes, temperature);
    const teacher = logSumExp(teacherLogits, start, classes, temperature);
    for (let i = start; i < start + classes; i++) {
      const logP = logits[i]! / temperature - student;
      const logQ = teacherLogits[i]! / temperature - teacher;
      const q = Math.exp(logQ);
      // A probability of zero adds nothing, whatever its logarithm.
      if (q > 0) divergence += q * (logQ - logP);
      gradient[i] = (1 - weight) * gradient[i]! + factor * (Math.exp(logP) - q);
    }
  }
  return (1 - weight) * labelsLoss + (weight * temperature ** 2 * divergence) / batchSize;
}

/** log(sum over k of exp(z_k / temperature)) of `count` elements from `start` on, without overflow. */
function logSumExp(z: Float32Array, start: number, count: number, temperature: number): number {
  let maximum = -Infinity;
  for (let i = start; i < start + count; i++) maximum = Math.max(maximum, z[i]!);
  let sum = 0;
  for (let i = start; i < start + count; i++) sum += Math.exp((z[i]! - maximum) / temperature);
  return Math.log(sum) + maximum / temperature;
}
