import { expect, test } from 'vitest';
import { sampleReport } from '../../../test/report-data.ts';
import { curvesFigure, lossFigure } from './curves.ts';

interface Row {
  readonly panel: string;
  readonly line: string;
  readonly step: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

test('the training loss of each variant, the mean over the seeds with its band, and the reference behind it', () => {
  const data = sampleReport(3);
  const { spec, name, title } = lossFigure(data)!;
  expect([name, title]).toEqual(['training-loss', 'Training loss over steps']);
  const { values } = (spec as unknown as { data: { values: readonly Row[] } }).data;
  const variant = data.variants[1]!;
  const own = values.filter(({ panel, line }) => panel === variant.name && line === 'variant');
  expect(own.map(({ step }) => step)).toEqual(variant.runs[0]!.lossCurve.map(({ step }) => step));
  const losses = variant.runs.map(({ lossCurve }) => lossCurve[0]!.loss);
  expect(own[0]!.low).toBe(Math.min(...losses));
  expect(own[0]!.high).toBe(Math.max(...losses));
  expect(own[0]!.mean).toBeCloseTo(losses.reduce((sum, loss) => sum + loss, 0) / losses.length, 12);
  expect(values.filter(({ panel, line }) => panel === variant.name && line === data.reference)).toHaveLength(own.length);
});

test('runs that were evaluated once, at their end, make no curve', () => {
  const data = sampleReport(2);
  const last = data.variants.map((variant) => ({
    ...variant,
    runs: variant.runs.map((run) => ({ ...run, curve: run.curve.slice(-1) })),
  }));
  expect(curvesFigure(data)).toBeDefined();
  expect(curvesFigure({ ...data, variants: last })).toBeUndefined();
});

test('nothing is drawn of runs without records of it', () => {
  const data = sampleReport(1);
  const silent = data.variants.map((variant) => ({ ...variant, runs: variant.runs.map((run) => ({ ...run, lossCurve: [] })) }));
  expect(lossFigure({ ...data, variants: silent })).toBeUndefined();
});
