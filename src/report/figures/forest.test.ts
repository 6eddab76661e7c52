import { expect, test } from 'vitest';
import type { Effect } from '../../study/effects.ts';
import { forestFigure } from './forest.ts';

function effect(kind: Effect['kind'], name: string, reference: string): Effect {
  const interval = { difference: 0.01, low: 0, high: 0.02 };
  return { kind, name, factor: name, level: name, reference, ...interval } as Effect;
}

test('changes are differences from their reference; another reference is named', () => {
  const figure = JSON.stringify(forestFigure([effect('difference', 'no LRN', 'tuto'), effect('difference', 'wide', 'alex4')]));
  expect(figure).toContain('"difference from tuto"');
  expect(figure).toContain('"wide vs alex4"');
});

test('with one seed there is no interval to speak of', () => {
  const { low, high, ...alone } = effect('difference', 'no LRN', 'tuto');
  expect([low, high]).toEqual([0, 0.02]);
  expect(JSON.stringify(forestFigure([alone as Effect]))).toContain('"title":["difference from tuto","in percentage points"]');
});

test('effects of all combinations have names of their own, and no one reference', () => {
  const effects = [
    effect('main', 'no LRN', 'without no LRN'),
    effect('main', 'slow', 'without slow'),
    effect('interaction', 'no LRN x slow: together', 'the sum of both'),
  ];
  const figure = JSON.stringify(forestFigure(effects));
  expect(figure).toContain('"title":["effect","in percentage points, with its 95% interval"]');
  expect(figure).toContain('"name":"slow"');
  expect(figure).not.toMatch(/without| vs /);
});
