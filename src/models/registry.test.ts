import { expect, test } from 'vitest';
import { countOperations, countParameters } from '../nn/network.ts';
import { buildModel } from './registry.ts';

/** The study's own figures: parameters and millions of operations at 24x24 and 32x32. */
const published: Record<string, { parameters: [number, number]; megaOperations: [string, string] }> = {
  tuto: { parameters: [1_068_298, 1_756_426], megaOperations: ['37.75', '66.98'] },
  alex0: { parameters: [1_463_594, 2_495_786], megaOperations: ['25.24', '44.76'] },
  alex1: { parameters: [322_506, 408_522], megaOperations: ['43.51', '77.35'] },
  alex2: { parameters: [1_068_298, 1_756_426], megaOperations: ['37.08', '65.80'] },
  alex3: { parameters: [996_298, 1_684_426], megaOperations: ['37.60', '66.84'] },
  alex4: { parameters: [1_493_674, 2_525_866], megaOperations: ['35.20', '62.45'] },
  cs231n: { parameters: [4_615_302, 8_199_302], megaOperations: ['11.66', '20.72'] },
};

test.each(Object.entries(published))('%s has the parameters and operations that the study published', (name, figures) => {
  [24, 32].forEach((input, i) => {
    const network = buildModel(name, { input });
    expect(countParameters(network.parameters)).toBe(figures.parameters[i]);
    expect((countOperations(network) / 1e6).toFixed(2)).toBe(figures.megaOperations[i]);
  });
});
