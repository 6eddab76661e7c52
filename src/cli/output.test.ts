import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WriteStream } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';
import { note, print, printJson, shown, styles } from './output.ts';

const terminal = { isTTY: true } as unknown as WriteStream;

afterEach(() => vi.restoreAllMocks());

function written(stream: NodeJS.WriteStream, work: () => void): string {
  const write = vi.spyOn(stream, 'write').mockReturnValue(true);
  work();
  return write.mock.calls.map(([text]) => String(text)).join('');
}

test('styles reach the terminal, and the same sequences in a name do not', () => {
  vi.stubEnv('NO_COLOR', '');
  vi.stubEnv('TERM', 'xterm');
  const { bold, red } = styles(terminal);
  const name = '\u001b[31mred\u001b[0m';
  expect(shown(`${bold(red('error:'))} ${name}`)).toBe(
    `\u001b[1m\u001b[31merror:\u001b[39m\u001b[22m ${String.raw`\u001b[31mred\u001b[0m`}`,
  );
  expect(shown(bold(name))).toBe(`\u001b[1m${String.raw`\u001b[31mred\u001b[0m`}\u001b[22m`);
  vi.unstubAllEnvs();
});

test('lines, notes and JSON cannot steer the terminal', () => {
  const name = '\u001b[2J\u009b31m\u007f\u202e';
  const escaped = String.raw`\u001b[2J\u009b31m\u007f\u202e`;
  expect(written(process.stdout, () => print(name))).toBe(`${escaped}\n`);
  expect(written(process.stderr, () => note(name))).toBe(`${escaped}\n`);
  const json = written(process.stdout, () => printJson({ [name]: [name] }));
  expect(json).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u);
  expect(JSON.parse(json)).toEqual({ [name]: [name] });
});

test('nothing else in the program writes to the terminal', () => {
  const source = fileURLToPath(new URL('..', import.meta.url));
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => /(?<!\.test)\.ts$/.test(file));
  const writers = files.filter((file) =>
    /process(\.std(out|err)|\[\w+\])\.write|console\.(log|error|warn|info)/.test(readFileSync(join(source, file), 'utf8')),
  );
  expect(files.length).toBeGreaterThan(200);
  expect(writers.sort()).toEqual(['cli/output.ts']);
});
