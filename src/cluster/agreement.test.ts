import { expect, test } from 'vitest';
import { fromFirst, requireAgreement } from './agreement.ts';
import { singleProcess, type Collective } from './collective.ts';

/** Process 1 of three; process 0 broadcasts what `broadcasts` holds, and process 2 agrees with process 0. */
function second(broadcasts: Uint8Array[]): Collective {
  return { ...singleProcess, rank: 1, worldSize: 3, broadcast: (bytes) => bytes.set(broadcasts.shift()!) };
}

function digest(text: string): Uint8Array {
  let seen: Uint8Array | undefined;
  requireAgreement({ ...singleProcess, broadcast: (bytes) => (seen = bytes.slice()) }, 'x', text, '');
  return seen!;
}

test('a process alone agrees with itself and makes its own text', () => {
  expect(() => requireAgreement(singleProcess, 'the data', 'abc', '')).not.toThrow();
  expect(fromFirst(singleProcess, () => 'äbc')).toBe('äbc');
});

test('a process that differs from the first is named', () => {
  expect(() => requireAgreement(second([digest('abc')]), 'the data', 'abc', '')).not.toThrow();
  expect(() => requireAgreement(second([digest('abc')]), 'the data', 'abd', '')).toThrow(
    'processes that train together must agree: process 1 differs from process 0 in the data',
  );
});

test('the others take what the first made', () => {
  const text = new TextEncoder().encode('from the first');
  const length = new Uint8Array(Float64Array.of(text.length).buffer);
  const never = () => {
    throw new Error('called');
  };
  expect(fromFirst(second([length, text]), never)).toBe('from the first');
});
