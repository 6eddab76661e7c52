/** The library as programs use it: every example of docs/api.md is run, in the order of the page, in a process of its own. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiExamples, asJavaScript, linkLibrary, shortened, writePictures } from './api-examples.ts';
import { loadOnednn, noOnednn } from './load-onednn.ts';
import { skippable } from './skippable.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-api-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const examples = apiExamples();
const reason = (await loadOnednn()) === undefined ? noOnednn : undefined;

beforeAll(() => {
  linkLibrary(folder);
  writePictures(folder);
  for (const { file, code } of examples) {
    writeFileSync(join(folder, file.replace(/\.ts$/, '.js')), asJavaScript(shortened(code)));
  }
});

function run(file: string): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    const environment = { ...process.env, OMP_NUM_THREADS: '1' };
    const child = spawn(process.execPath, [file], { cwd: folder, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** What an example must have printed or left behind, by its heading: the last of those under one. */
const outcomes: Readonly<Record<string, (stdout: string) => void>> = {
  'Train and freeze a network': (stdout) => {
    expect(Number(stdout)).toBeGreaterThanOrEqual(0);
    expect(existsSync(join(folder, 'net.onnx'))).toBe(true);
    expect(existsSync(join(folder, 'runs'))).toBe(false);
  },
  'Images of your own': (stdout) => expect(stdout).toBe('[ 1, 4, 6 ] 80\n'),
  'Keep a run, watch it, stop it': (stdout) => {
    expect(stdout).toMatch(/^interrupted\nfinished 2\n$/);
    // The example does not say which images it trains on, but gives them.
    expect(JSON.parse(readFileSync(join(folder, 'runs/net/1/config.json'), 'utf8'))).toMatchObject({
      dataset: expect.stringMatching(/^images:/) as string,
    });
  },
  'Augmentation of your own': (stdout) => expect(stdout).toBe('{ strength: 16 }\n'),
  Evaluate: (stdout) => expect(stdout).toMatch(/^(0|0?\.\d|1)\S* (dark|bright) /),
  'Prune and quantize': (stdout) => {
    for (const file of ['half.safetensors', 'half.onnx', 'half.int8.onnx', 'small.onnx']) {
      expect(existsSync(join(folder, file)), file).toBe(true);
    }
    expect(stdout).toMatch(/^limits \d/);
    // The pruning alone left no run.
    expect(existsSync(join(folder, 'runs/net/2/compression.json'))).toBe(true);
  },
  'A study': (stdout) => {
    expect(stdout).toMatch(/^true\n/);
    expect(stdout).toMatch(/filters/);
    expect(existsSync(join(folder, 'reports/widths/index.html'))).toBe(true);
  },
  'Layers of your own': (stdout) => {
    expect(stdout).toContain('multiply');
    expect(stdout).toMatch(/\[ 10 \]\n$/);
  },
  'From a program': (stdout) => expect(stdout).toBe(''),
  Errors: (stdout) => expect(stdout).toMatch(/batchSize \(=0\) must be .*batchSize\n$/),
};

describe('docs/api.md', () => {
  test('has an example under each heading that is checked here', () => {
    expect([...new Set(examples.map(({ heading }) => heading))].sort()).toEqual(Object.keys(outcomes).sort());
  });

  test.skipIf(reason !== undefined).each(examples.map((example, i) => ({ ...example, i })))(
    skippable('$heading: $file', reason),
    async ({ heading, file, i }) => {
      const { code, stdout, stderr } = await run(file.replace(/\.ts$/, '.js'));
      expect([code, stderr]).toEqual([0, '']);
      if (examples[i + 1]?.heading !== heading) outcomes[heading]!(stdout);
    },
  );
});
