import { expect, test } from 'vitest';
import type { WeightsEvaluation } from '../train/train-options.ts';
import { stepLine } from './training-display.ts';

const evaluation = (step: number, weights: 'ema' | 'raw', accuracy: number) =>
  ({ step, weights, accuracy, split: 'test' }) as WeightsEvaluation;

const progress = (step: number, loss = 1) => ({ step, loss, imagesPerSecond: 1234.5 });

test('the loss is smoothed over about the last twenty steps', () => {
  const line = stepLine(100);
  expect(line.afterStep(progress(1, 2))).toBe('loss 2.000  1,235 images/s');
  expect(line.afterStep(progress(2, 4))).toBe('loss 2.100  1,235 images/s');
  expect(line.afterStep(progress(3, 2.1))).toBe('loss 2.100  1,235 images/s');
});

test('the accuracy is that of the last evaluation, of the averages where there are any, and says so', () => {
  const line = stepLine(100);
  line.afterEvaluation(evaluation(10, 'ema', 0.5));
  line.afterEvaluation(evaluation(10, 'raw', 0.7));
  expect(line.afterStep(progress(11))).toBe('loss 1.000  1,235 images/s  test 50.00% (average)');
  // Worse than before: what is shown is the latest, not the best.
  line.afterEvaluation(evaluation(20, 'ema', 0.4));
  line.afterEvaluation(evaluation(20, 'raw', 0.6));
  expect(line.afterStep(progress(21))).toBe('loss 1.000  1,235 images/s  test 40.00% (average)');
});

test('raw weights and validation images are called so', () => {
  const line = stepLine(100);
  line.afterEvaluation({ ...evaluation(10, 'raw', 0.25), split: 'val' });
  expect(line.afterStep(progress(11))).toBe('loss 1.000  1,235 images/s  val 25.00% (raw)');
});

test('the last step is followed by an evaluation, which takes its time', () => {
  expect(stepLine(100).afterStep(progress(100))).toBe('loss 1.000  1,235 images/s  evaluating');
});
