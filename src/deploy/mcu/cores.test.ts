import { expect, test } from 'vitest';
import { cores, parseDevice, predictedMs } from './cores.ts';

test('a core at its usual clock, or at another', () => {
  expect(parseDevice('m4')).toMatchObject({ core: { title: 'Cortex-M4' }, clockMHz: 120 });
  expect(parseDevice(' Cortex-M0+@133.5MHz ')).toMatchObject({ core: { name: 'm0+' }, clockMHz: 133.5 });
});

test.each([
  ['', 'device (=) must begin with a core'],
  ['m5', 'device (=m5) must begin with a core. Did you mean'],
  ['m4@', 'device (=m4@) must have a clock above 0 and at most 10000, in MHz: m4@120'],
  ['m4@fast', 'device (=m4@fast) must have a clock above 0'],
  ['m4@-1', 'device (=m4@-1) must have a clock above 0'],
  ['m4@1@2', 'device (=m4@1@2) must have a clock above 0'],
])('%j is refused', (text, message) => {
  expect(() => parseDevice(text)).toThrow(message);
});

test("the model gives back MLPerf Tiny's times of its ResNet-8, from which it was made", () => {
  const multiplyAdds = 12_501_632;
  // 165 ms on an M4 at 120 MHz and 41 ms on an M7 at 280 MHz, with X-CUBE-AI.
  expect(predictedMs(multiplyAdds, parseDevice('m4@120')) / 165).toBeCloseTo(1, 1);
  expect(Math.abs(predictedMs(multiplyAdds, parseDevice('m7@280')) / 41 - 1)).toBeLessThan(0.15);
  for (const core of cores) expect(predictedMs(0, { core, clockMHz: core.usualClockMHz })).toBe(0);
});
