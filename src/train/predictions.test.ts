import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { encodeSafetensors } from '../runs/safetensors.ts';
import { collectPredictions, readPredictions, worstFirst, writePredictions } from './predictions.ts';

const root = mkdtempSync(join(tmpdir(), 'ablate-predictions-'));
afterAll(() => rmSync(root, { recursive: true }));

const record = { split: 'val', tta: 'none', step: 70, weights: 'ema', datasetFingerprint: 'images' } as const;

test('the prediction is the largest logit, the first of equals, with the probabilities of softmax', () => {
  const collected = collectPredictions(3);
  collected.add(0, 1, Float32Array.of(0, Math.log(3)));
  collected.add(1, 1, Float32Array.of(5, 5));
  // Beyond what an exponential holds.
  collected.add(2, 0, Float32Array.of(-1000, 1000));
  expect(collected.at(0)).toMatchObject({ image: 0, label: 1, prediction: 1 });
  expect(collected.at(0).probability).toBeCloseTo(0.75, 6);
  expect(collected.at(1)).toEqual({ image: 1, label: 1, prediction: 0, probability: 0.5, labelProbability: 0.5 });
  expect(collected.at(2)).toEqual({ image: 2, label: 0, prediction: 1, probability: 1, labelProbability: 0 });
});

test('the rows of processes that share the images add up', () => {
  const [whole, first, second] = [collectPredictions(2), collectPredictions(2), collectPredictions(2)];
  const logits = [Float32Array.of(1, 0), Float32Array.of(0, 2)];
  logits.forEach((each, i) => [whole, i === 0 ? first : second].forEach((collected) => collected.add(i, 1 - i, each)));
  expect([...whole.rows]).toEqual([...first.rows].map((value, i) => value + second.rows[i]!));
});

test('what is written is read again, and what is missing or damaged is none', () => {
  const run = { path: root };
  expect(readPredictions(run)).toBeUndefined();
  const collected = collectPredictions(2);
  collected.add(0, 1, Float32Array.of(0, 4));
  collected.add(1, 0, Float32Array.of(1, 2));
  writePredictions(run, collected, record);
  const { at, ...others } = readPredictions(run)!;
  expect(others).toEqual({ ...record, count: 2 });
  expect(at(1)).toMatchObject({ label: 0, prediction: 1 });
  expect(at(1).probability).toBeCloseTo(collected.at(1).probability, 6);
  expect(at(1).labelProbability).toBeCloseTo(collected.at(1).labelProbability, 6);
  const path = join(root, 'predictions.safetensors');
  expect(existsSync(path)).toBe(true);
  writePredictions(run, collected, { ...record, step: 'x' } as unknown as typeof record);
  expect(readPredictions(run)).toBeUndefined();
  writeFileSync(path, 'damaged');
  expect(readPredictions(run)).toBeUndefined();
  // Of another kind, without what it says of itself, without a column, or with one that is shorter.
  const columns = { label: [0, 1], prediction: [0, 1], probability: [1, 1], labelProbability: [1, 1] };
  const metadata = { format: 'ablate-predictions-1', record: JSON.stringify(record) };
  const written = (changed: Record<string, number[]>, said: Record<string, string> = metadata) => {
    const tensors = Object.entries({ ...columns, ...changed }).map(
      ([name, data]) => [name, { shape: [data.length], data: Float32Array.from(data) }] as const,
    );
    writeFileSync(path, encodeSafetensors(new Map(tensors.filter(([, { shape }]) => shape[0] > 0)), said));
    return readPredictions(run);
  };
  expect(written({})).toMatchObject({ ...record, count: 2 });
  expect(written({}, { ...metadata, format: 'other' })).toBeUndefined();
  expect(written({}, { format: metadata.format })).toBeUndefined();
  for (const name of Object.keys(columns)) {
    expect(written({ [name]: [] })).toBeUndefined();
    expect(written({ [name]: [1] })).toBeUndefined();
  }
});

test('the surest mistakes come first, and of what is right the least sure', () => {
  const rows = [
    [0, 1, 0.6],
    [0, 0, 0.9],
    [0, 1, 0.8],
    [1, 0, 0.7],
    [0, 0, 0.5],
    [1, 2, 0.8],
    [2, 1, 0.8],
  ] as const;
  const at = (image: number) => {
    const [label, prediction, probability] = rows[image]!;
    return { image, label, prediction, probability, labelProbability: 0 };
  };
  const images = (filter = {}) => worstFirst({ count: rows.length, at }, filter).map(({ image }) => image);
  expect(images()).toEqual([2, 5, 6, 3, 0]);
  expect(images({ label: 0 })).toEqual([2, 0]);
  expect(images({ prediction: 0 })).toEqual([3]);
  expect(images({ label: 1, prediction: 2 })).toEqual([5]);
  expect(images({ label: 0, prediction: 0 })).toEqual([4, 1]);
});
