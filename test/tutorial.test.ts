/** docs/tutorial.md from its first command to its last: each is run as it stands there, on fewer pictures and for fewer steps. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { startDemo } from '../src/web/demo/server.ts';
import { missingTool } from './missing-tool.ts';
import { runCli } from './run-cli.ts';
import { skippable } from './skippable.ts';

const page = readFileSync(new URL('../docs/tutorial.md', import.meta.url), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'ablate-tutorial-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const inFolder = (name: string) => join(folder, name);

/** What makes it quick; each must be there once. */
const shorter: readonly (readonly [as: string, here: string])[] = [
  ['--images 200', '--images 8'],
  ['--epochs 10', '--steps 3 --batch-size 16 --threads 1'],
  ['--dry-run', '--dry-run --threads 1'],
  ['study parts.yaml --device', 'study parts.yaml --threads 1 --no-latency --device'],
  ['steps: 100 }', 'steps: 2, batchSize: 16 }'],
  ['seeds: [1, 2, 3]', 'seeds: [1]'],
  ['bench infer net.onnx', 'bench infer --rounds 1 --round-ms 20 --threads 1 --batch-sizes 1 net.onnx'],
];
const short = shorter.reduce((text, [as, here]) => text.replace(as, here), page);
const commands = [...short.matchAll(/^```sh\n(.*?)^```/gms)].flatMap((block) => block[1]!.trim().split('\n'));
const study = /^```yaml\n(.*?)^```/ms.exec(short)![1]!;
const compiler = missingTool('make') ?? missingTool('cc');

/** What shows that a command did what the tutorial says, beside its exit code. */
const shown: Readonly<Record<string, RegExp>> = {
  'data export': /--data images:photos/,
  'data show': /star +8 +8/,
  'new model': /wrote net\.ts/,
  info: /logits +dense +10/,
  train: /run: runs\/net\/1/,
  eval: /Rows are labels, columns what was predicted/,
  study: /no squeeze/,
  freeze: /net\.onnx/,
  quantize: /int8/,
  label: /star/,
  'bench infer': /net\.int8\.onnx/,
  export: /flash[^]*RAM/i,
};

test('each shortening is of something that the tutorial says once', () => {
  for (const [as] of shorter) expect(page.split(as), as).toHaveLength(2);
});

describe('the commands, in order', () => {
  test.each(commands.filter((line) => line.startsWith('npx ablate ')))('%s', { timeout: 120_000 }, async (line) => {
    const args = line.split(/\s+/).slice(2);
    if (args[0] === 'ui') {
      // It would listen until it is stopped.
      expect((await runCli([...args, '--port', 'none'], { cwd: folder })).stderr).toMatch(/--port/);
      return;
    }
    if (args[0] === 'demo') {
      await expectServed(args.slice(1));
      return;
    }
    writeFileSync(inFolder('parts.yaml'), study);
    const { code, stdout, stderr } = await runCli(args, { cwd: folder });
    expect(code, stderr).toBe(0);
    const [, expected] = Object.entries(shown).find(([words]) => line.startsWith(`npx ablate ${words} `))!;
    expect(stdout + stderr).toMatch(expected);
  });

  test.skipIf(compiler !== undefined)(skippable('make', compiler), { timeout: 60_000 }, () => {
    const line = commands.find((each) => each.startsWith('make '))!;
    expect(execFileSync('sh', ['-c', line], { cwd: folder, encoding: 'utf8' })).toMatch(/8/);
  });

  test('are all of the tutorial', () => {
    expect(commands.filter((line) => !/^(npx ablate|make) /.test(line))).toEqual([]);
    expect(commands.length).toBeGreaterThan(12);
  });
});

test('they leave the files that the tutorial names', () => {
  for (const name of ['sheet.png', 'mistakes.html', 'reports/parts/index.html', 'net.onnx', 'net.int8.onnx', 'eye/net.c'])
    expect(statSync(inFolder(name)).size, name).toBeGreaterThan(0);
  // "about a quarter of the bytes": of a network as small as this the graph is a large part.
  expect(statSync(inFolder('net.int8.onnx')).size).toBeLessThan(statSync(inFolder('net.onnx')).size);
});

/** The server of `ablate demo` takes the files; test/demo.test.ts has the page. */
async function expectServed(models: readonly string[]): Promise<void> {
  writeFileSync(inFolder('index.html'), '<!doctype html>');
  const server = await startDemo({ models: models.map(inFolder), port: 0, clientFolder: folder });
  try {
    const served = (await (await fetch(new URL('models.json', server.url))).json()) as { readonly file: string }[];
    expect(served.map(({ file }) => file)).toEqual(models);
  } finally {
    await server.close();
  }
}
