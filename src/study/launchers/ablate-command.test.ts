import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ablateCommand } from './ablate-command.ts';

test('from source, the program is started through tsx', () => {
  const main = join(dirname(dirname(dirname(import.meta.dirname))), 'src', 'cli', 'main.ts');
  const [node, option, tsx, ...rest] = ablateCommand();
  expect([node, option, rest]).toEqual([process.execPath, '--import', [main]]);
  expect(tsx).toMatch(/^file:.*\/node_modules\/tsx\//);
  expect([existsSync(main), existsSync(fileURLToPath(tsx!))]).toEqual([true, true]);
});

test('what is compiled is started as it is', () => {
  const compiled = 'file:///opt/ablate/dist/study/launchers/ablate-command.js';
  expect(ablateCommand(compiled)).toEqual([process.execPath, '/opt/ablate/dist/cli/main.js']);
});
