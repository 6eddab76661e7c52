import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asTyped, commandNames, invocation } from './invocation.ts';
import { wholeProgram } from '../../test/parse-command.ts';

let folder = '';
let clone = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-invocation-'));
  clone = join(folder, 'my clone');
  for (const path of [
    'my clone/sub',
    'my clone/node_modules/.bin',
    'project/node_modules/.bin',
    'other',
    'global',
    'plain',
    'elsewhere',
  ])
    mkdirSync(join(folder, path), { recursive: true });
  for (const path of ['my clone', 'other']) writeFileSync(join(folder, path, 'package.json'), '{}');
  for (const path of ['global', 'project/node_modules/.bin', 'plain']) writeFileSync(join(folder, path, 'ablate'), '#!/bin/sh\n');
  for (const path of ['global', 'project/node_modules/.bin']) chmodSync(join(folder, path, 'ablate'), 0o755);
  symlinkSync(clone, join(folder, 'link'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const at = (place: string, path: string) =>
  invocation({ folder: join(folder, place), path: path.replaceAll('@', folder), root: clone });

test.each([
  ['in a clone', 'my clone', '/nowhere', 'npx ablate'],
  ['below it', 'my clone/sub', '', 'npx ablate'],
  ['through a link', 'link', '', 'npx ablate'],
  ['in a project that has it', 'project', '', 'npx ablate'],
  ['installed globally', 'elsewhere', '/nowhere:@/global', 'ablate'],
  ['installed globally, in a clone', 'my clone', '@/global', 'ablate'],
  ['run by npx, which changes the path', 'project', '@/project/node_modules/.bin', 'npx ablate'],
])('%s', (_, place, path, expected) => {
  expect(at(place, path)).toBe(expected);
});

test('where neither shell nor npx would find it, the command has the path', () => {
  const whole = `node '${clone}/bin/ablate.js'`;
  expect(at('elsewhere', '')).toBe(whole);
  // A file that cannot be run, another package, an empty entry of the path.
  expect(at('elsewhere', '@/plain')).toBe(whole);
  expect(at('other', '')).toBe(whole);
  expect(at('global', ':')).toBe(whole);
});

test('commands in a text begin as they are typed, and nothing else changes', () => {
  const place = { folder: clone, path: '', root: clone };
  const typed = (text: string) => asTyped(text, place);
  expect(typed('ablate train <model>; ablate runs list shows them')).toBe(
    'npx ablate train <model>; npx ablate runs list shows them',
  );
  expect(typed('ablate --help lists the options')).toBe('npx ablate --help lists the options');
  for (const text of ['a defect of ablate', 'npx ablate train', 'ablate trains', 'bin/ablate train', 'reinstall ablate']) {
    expect(typed(text)).toBe(text);
  }
});

test('the commands are those of the program', () => {
  expect(wholeProgram().commands.map((command) => command.name())).toEqual(commandNames.filter((name) => name !== 'help'));
});
