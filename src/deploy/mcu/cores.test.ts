import { expect, test } from 'vitest';
import { cores, parseDevice, predictedMs } from './cores.ts';

test('a core at its usual clock, or at another', () => {
  expect(parseDevice('m4')).toMatchObject({ core: { title: 'Cortex-M4' }, clockMHz: 120 });
  expect(parseDevice(' Cortex-M0+@133.5MHz ')).toMatchObject({ core: { name: 'm0+' }, clockMHz: 133.5 });
  expect(parseDevice('m7@10000')).toMatchObject({ core: { name: 'm7' }, clockMHz: 10_000 });
});

test.each([
  ['', 'device (=) must begin with a core'],
  ['m5', 'device (=m5) must begin with a core. Did you mean'],
  ['m4@', 'device (=m4@) must have a clock above 0 and at most 10000, in MHz: m4@120'],
  ['m4@fast', 'device (=m4@fast) must have a clock above 0'],
  ['m4@-1', 'device (=m4@-1) must have a clock above 0'],
  ['m4@1@2', 'device (=m4@1@2) must have a clock above 0'],
  ['m4@0', 'device (=m4@0) must have a clock above 0'],
  ['m4@10001', 'device (=m4@10001) must have a clock above 0'],
  ['m4@MHz120', 'device (=m4@MHz120) must have a clock above 0'],
  ['a-cortex-m4', 'device (=a-cortex-m4) must begin with a core'],
])('%j is refused', (text, message) => {
  expect(() => parseDevice(text)).toThrow(message);
});

test('a core that is not known is told those that are', () => {
  const names = cores.map(({ name }) => name).join(', ');
  expect(names).toContain('m4, ');
  const fix = `The cores are: ${names}; with a clock in MHz: m4@120`;
  expect(() => parseDevice('avr')).toThrow(expect.objectContaining({ fix }) as Error);
});

test('instructions become milliseconds', () => {
  expect(predictedMs(1_000_000, parseDevice('m4@100'))).toBe(12.5);
  expect(predictedMs(3_000_000, parseDevice('m0+@30'))).toBeCloseTo(140, 10);
  for (const core of cores) expect(predictedMs(0, { core, clockMHz: core.usualClockMHz })).toBe(0);
});
