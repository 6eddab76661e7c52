import { afterEach, expect, test, vi } from 'vitest';
import { createTally } from './tally.ts';

afterEach(() => vi.restoreAllMocks());

test('accuracies, confusions, loss and rate, by hand', () => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
  const tally = createTally(['a', 'b', 'c']);
  // Right, wrong as c, right, of equals the first.
  tally.add(0, Float32Array.of(2, 1, 0));
  tally.add(0, Float32Array.of(0, 1, 2));
  tally.add(1, Float32Array.of(-5, 3, -5));
  tally.add(1, Float32Array.of(7, 7, 0));
  now.mockReturnValue(1500);
  const log = (...logits: number[]) => Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  const losses = [log(2, 1, 0) - 2, log(0, 1, 2) - 0, log(-5, 3, -5) - 3, log(7, 7, 0) - 7];
  const expected = {
    split: 'val',
    tta: 'none',
    accuracy: 0.5,
    images: 4,
    // Four images in half a second.
    imagesPerSecond: 8,
    perClass: [
      { label: 'a', images: 2, accuracy: 0.5 },
      { label: 'b', images: 2, accuracy: 0.5 },
      { label: 'c', images: 0, accuracy: 0 },
    ],
    confusion: [
      [1, 0, 1],
      [1, 1, 0],
      [0, 0, 0],
    ],
  };
  const { loss, ...others } = tally.evaluation('val');
  expect(others).toEqual(expected);
  expect(loss).toBeCloseTo(losses.reduce((a, b) => a + b) / 4, 12);
  expect(tally.evaluation('test', 'mirror')).toMatchObject({ split: 'test', tta: 'mirror' });
});

test('the counts of parts add up to those of the whole', () => {
  const images: [number, Float32Array][] = [
    [0, Float32Array.of(1, 0)],
    [1, Float32Array.of(0.5, 0.25)],
    [1, Float32Array.of(0, 4)],
  ];
  const [whole, first, second] = [createTally(['a', 'b']), createTally(['a', 'b']), createTally(['a', 'b'])];
  images.forEach(([label, logits], i) => [whole, i < 2 ? first : second].forEach((tally) => tally.add(label, logits)));
  expect([...whole.counts]).toHaveLength(5);
  whole.counts.forEach((count, i) => expect(first.counts[i]! + second.counts[i]!).toBeCloseTo(count, 12));
});

test('logits beyond what an exponential holds', () => {
  const tally = createTally(['a', 'b']);
  tally.add(0, Float32Array.of(1000, 0));
  tally.add(1, Float32Array.of(-2000, -1000));
  tally.add(1, Float32Array.of(500, -500));
  expect(tally.evaluation('test')).toMatchObject({ accuracy: 2 / 3, loss: 1000 / 3 });
});
