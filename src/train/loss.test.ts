import { expect, test } from 'vitest';
import { softmaxCrossEntropy } from './loss.ts';

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
