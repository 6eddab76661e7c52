import { expect, test } from 'vitest';
import { addDistillation, softmaxCrossEntropy } from './loss.ts';

const logits = Float32Array.from([1, 2, 0.5, -3, 0, 4]);
const labels = Uint8Array.from([1, 0]);

/** The loss by its formula, without care for overflow. */
function plainLoss(z: ArrayLike<number>, smoothing: number): number {
  let total = 0;
  for (let n = 0; n < 2; n++) {
    const row = [0, 1, 2].map((k) => z[3 * n + k]!);
    const logSum = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
    row.forEach((value, k) => (total += (logSum - value) * ((k === labels[n] ? 1 - smoothing : 0) + smoothing / 3)));
  }
  return total / 2;
}

test.each([0, 0.1, 0.5])('is the formula, and its gradient that of central differences (smoothing %f)', (smoothing) => {
  const gradient = new Float32Array(6);
  expect(softmaxCrossEntropy(logits, labels, smoothing, gradient)).toBeCloseTo(plainLoss(logits, smoothing), 12);
  for (let i = 0; i < 6; i++) {
    const [up, down] = [1e-5, -1e-5].map((change) =>
      plainLoss(
        Array.from(logits, (z, j) => (i === j ? z + change : z)),
        smoothing,
      ),
    );
    expect(gradient[i]).toBeCloseTo((up! - down!) / 2e-5, 6);
  }
});

/** Each example's second label, with a share. */
function mixedLoss(z: ArrayLike<number>, smoothing: number, share: number, others: readonly number[]): number {
  let total = 0;
  for (let n = 0; n < 2; n++) {
    const row = [0, 1, 2].map((k) => z[3 * n + k]!);
    const logSum = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
    row.forEach((value, k) => {
      const target = (k === labels[n] ? 1 - share : 0) + (k === others[n] ? share : 0);
      total += (logSum - value) * ((1 - smoothing) * target + smoothing / 3);
    });
  }
  return total / 2;
}

test.each([
  [0, 0.25, [2, 1]],
  [0.3, 0.6, [0, 0]],
  [0.1, 1, [2, 2]],
  [0.2, 0, [2, 1]],
])('of mixed examples: smoothing %f, share %f, second labels %j', (smoothing, share, others) => {
  const mixed = { labels: Uint8Array.from(others), share };
  const gradient = new Float32Array(6);
  const loss = softmaxCrossEntropy(logits, labels, smoothing, gradient, 2, mixed);
  expect(loss).toBeCloseTo(mixedLoss(logits, smoothing, share, others), 12);
  for (let i = 0; i < 6; i++) {
    const [up, down] = [1e-5, -1e-5].map((change) => {
      const moved = Array.from(logits, (z, j) => (i === j ? z + change : z));
      return mixedLoss(moved, smoothing, share, others);
    });
    expect(gradient[i]).toBeCloseTo((up! - down!) / 2e-5, 6);
  }
});

test('a label without a share in the target may be as far off as it likes', () => {
  const far = Float32Array.from([0, -Infinity]);
  const loss = (own: number, other: number, share: number) =>
    softmaxCrossEntropy(far, Uint8Array.of(own), 0, new Float32Array(2), 1, { labels: Uint8Array.of(other), share });
  expect(loss(1, 0, 1)).toBe(0);
  expect(loss(0, 1, 0)).toBe(0);
});

test('does not overflow', () => {
  const gradient = new Float32Array(2);
  expect(softmaxCrossEntropy(Float32Array.from([1e30, -1e30]), Uint8Array.from([0]), 0, gradient)).toBe(0);
  expect([...gradient]).toEqual([0, 0]);
});

test.each([NaN, Infinity])('%f in the logits makes the loss not finite', (value) => {
  const loss = softmaxCrossEntropy(Float32Array.from([0, value, 1]), Uint8Array.from([0]), 0, new Float32Array(3));
  expect(Number.isFinite(loss)).toBe(false);
});

test('the parts of a batch add up to the whole', () => {
  const whole = new Float32Array(6);
  const loss = softmaxCrossEntropy(logits, labels, 0.1, whole);
  const parts = [0, 1].map((n) => {
    const gradient = new Float32Array(3);
    const share = softmaxCrossEntropy(logits.subarray(3 * n, 3 * n + 3), labels.subarray(n, n + 1), 0.1, gradient, 2);
    expect([...gradient]).toEqual([...whole.subarray(3 * n, 3 * n + 3)]);
    return share;
  });
  expect(parts[0]! + parts[1]!).toBeCloseTo(loss, 12);
});

const teacherLogits = Float32Array.from([0.5, 3, -1, 2, -2, 0]);

/** (1 - a) * cross-entropy + a * T^2 * mean KL(teacher || student), by the formula. */
function plainDistillation(z: ArrayLike<number>, weight: number, temperature: number): number {
  const softmax = (logits: ArrayLike<number>, n: number): number[] => {
    const powers = [0, 1, 2].map((k) => Math.exp(logits[3 * n + k]! / temperature));
    return powers.map((power) => power / powers.reduce((a, b) => a + b));
  };
  let divergence = 0;
  for (const n of [0, 1]) {
    const p = softmax(z, n);
    softmax(teacherLogits, n).forEach((q, k) => (divergence += q * Math.log(q / p[k]!)));
  }
  return (1 - weight) * plainLoss(z, 0.1) + (weight * temperature ** 2 * divergence) / 2;
}

test.each([
  [0, 4],
  [0.3, 1],
  [0.7, 4],
  [1, 2],
])(
  'with a teacher of weight %f at temperature %f it is the formula, its gradient that of central differences',
  (weight, temperature) => {
    const gradient = new Float32Array(6);
    const labelsLoss = softmaxCrossEntropy(logits, labels, 0.1, gradient);
    const loss = addDistillation(logits, labelsLoss, { teacherLogits, weight, temperature }, gradient, 2);
    expect(loss).toBeCloseTo(plainDistillation(logits, weight, temperature), 6);
    for (let i = 0; i < 6; i++) {
      const [up, down] = [1e-5, -1e-5].map((change) =>
        plainDistillation(
          Array.from(logits, (z, j) => (i === j ? z + change : z)),
          weight,
          temperature,
        ),
      );
      expect(gradient[i]).toBeCloseTo((up! - down!) / 2e-5, 5);
    }
  },
);

test('a teacher that agrees with the student pulls nowhere; one sure beyond all bounds does not overflow', () => {
  const gradient = new Float32Array(6);
  const agreeing = { teacherLogits: logits, weight: 1, temperature: 3 };
  expect(addDistillation(logits, 5, agreeing, gradient, 2)).toBe(0);
  expect([...gradient].every((value) => value === 0)).toBe(true);
  const sure = { teacherLogits: Float32Array.of(1e30, 0, 0), weight: 1, temperature: 1 };
  const pull = new Float32Array(3);
  expect(addDistillation(Float32Array.of(0, 0, 0), 5, sure, pull, 1)).toBeCloseTo(Math.log(3), 6);
  expect([...pull].map((value) => Number(value.toFixed(6)))).toEqual([-0.666667, 0.333333, 0.333333]);
});

test('with a teacher too the parts of a batch add up to the whole', () => {
  const distill = (from: number, to: number): number => {
    const gradient = new Float32Array(3 * (to - from));
    const part = logits.subarray(3 * from, 3 * to);
    const labelsLoss = softmaxCrossEntropy(part, labels.subarray(from, to), 0, gradient, 2);
    const teacher = teacherLogits.subarray(3 * from, 3 * to);
    return addDistillation(part, labelsLoss, { teacherLogits: teacher, weight: 0.4, temperature: 2 }, gradient, to - from, 2);
  };
  expect(distill(0, 1) + distill(1, 2)).toBeCloseTo(distill(0, 2), 12);
});
