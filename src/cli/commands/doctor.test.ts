import { expect, test } from 'vitest';
import { checksOfOnednn } from './doctor.ts';

const found = { ok: true, version: '3.9.1', path: 'libdnnl.3.dylib', isa: 'unknown' };

test('on Apple silicon, oneDNN is there and slow, and the fix is the graphics card', () => {
  const instructions = (hasCard: boolean) =>
    checksOfOnednn(found, { hasCard, arch: 'arm64' }).find(({ name }) => name === 'instructions');
  expect(instructions(false)).toEqual({
    name: 'instructions',
    required: false,
    ok: false,
    detail: 'oneDNN is slow on arm64: its convolutions run on one core, without vector instructions',
    fix: 'use the graphics card: ablate setup --gpu',
  });
  expect(instructions(true)?.fix).toMatch(/^--engine webgpu/);
  expect(checksOfOnednn(found, { hasCard: false, arch: 'x64' }).every(({ ok, fix }) => ok && fix === null)).toBe(true);
});

test('without oneDNN nothing works, unless there is a card to compute on', () => {
  const missing = { ok: false, error: 'the oneDNN library was not found', fix: 'ablate setup' };
  const ofLibrary = (hasCard: boolean) => checksOfOnednn(missing, { hasCard }).find(({ name }) => name === 'oneDNN');
  expect(ofLibrary(false)).toMatchObject({ required: true, ok: false, fix: 'ablate setup' });
  expect(ofLibrary(true)).toMatchObject({ required: false, ok: false });
});
