/** Pictures of a run from the command line, and what is said of bad input. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateSynthetic } from '../src/data/synthetic.ts';
import { recordCheckpoint, recordPredictions, recordRun } from './recorded-runs.ts';
import { runCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-show-'));
const ablate = (...args: readonly string[]) => runCli(args, { cwd: folder });
const dataset = generateSynthetic();

/** A run with a checkpoint and predictions, of images that can be had anywhere. */
async function recordWhole(number: number, fingerprint: string): Promise<void> {
  const small = { 'conv1.filters': 4, 'conv2.filters': 4, 'dense1.features': 8, 'dense2.features': 8 };
  const { classes } = dataset;
  const path = recordRun(join(folder, 'runs'), { number, classes, overrides: { ...small, dataset: 'synthetic' } });
  await recordCheckpoint(path, 1000);
  recordPredictions(path, { ...dataset, fingerprint });
}

beforeAll(async () => {
  await recordWhole(1, dataset.fingerprint);
  await recordWhole(2, 'other images');
  recordRun(join(folder, 'runs'), { number: 3 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function sizeOf(file: string): Promise<readonly [string | undefined, number]> {
  const { format, width } = await sharp(join(folder, file)).metadata();
  return [format, width];
}

describe('show', () => {
  test('filters, mistakes and activations as PNG and as SVG', async () => {
    for (const [what, ...more] of [['filters'], ['mistakes'], ['activations', '--image', '5']] as const) {
      const { code, stdout, stderr } = await ablate('show', what, 'tuto/1', '-o', `${what}.png`, ...more);
      expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: `${what}.png\n` });
      expect(await sizeOf(`${what}.png`)).toEqual(['png', 2000]);
    }
    const { code } = await ablate('show', 'activations', 'tuto/1', '-o', 'conv1.svg', '--layer', 'conv1,pool1');
    expect(code).toBe(0);
    const svg = readFileSync(join(folder, 'conv1.svg'), 'utf8');
    expect(svg).toContain('conv1 (conv), 4 x 24 x 24');
    expect(svg).not.toContain('conv2 (conv)');
    // The image itself, and four maps of each layer.
    expect([...svg.matchAll(/<image /g)]).toHaveLength(9);
    const mistakes = await ablate('show', 'mistakes', 'tuto/1', '-o', 'mistakes.svg');
    expect(mistakes.code).toBe(0);
    expect(readFileSync(join(folder, 'mistakes.svg'), 'utf8')).toContain('tuto/1 after 1,000 steps');
  });

  test('an image of the user', async () => {
    writeFileSync(
      join(folder, 'mine.png'),
      await sharp({ create: { width: 40, height: 50, channels: 3, background: 'red' } })
        .png()
        .toBuffer(),
    );
    const { code, stderr } = await ablate('show', 'activations', 'tuto/1', '--image', 'mine.png', '-o', 'mine.svg');
    expect(code, stderr).toBe(0);
    expect(readFileSync(join(folder, 'mine.svg'), 'utf8')).toContain('mine.png');
  });

  test.each([
    [['filters', 'tuto/1'], 2, /required option '-o, --output <file>' not specified/],
    [['filters', 'tuto/1', '-o', 'x.jpg'], 2, /output \(=x\.jpg\) must end in \.png or \.svg/],
    [
      ['filters', 'tuto/1', '-o', 'x.png', '--layer', 'conv2'],
      1,
      /the filters of conv2 cannot be shown as pictures: their weights are \[4, 4, 5, 5\]/,
    ],
    [['filters', 'tuto/1', '-o', 'x.png', '--layer', 'none'], 1, /has no weights none\.weight/],
    [['filters', 'tuto/3', '-o', 'x.png'], 1, /tuto\/3 has no checkpoint/],
    [['mistakes', 'tuto/2', '-o', 'x.png'], 1, /tuto\/2 was evaluated on other images than synthetic has now/],
    [
      ['mistakes', 'tuto/3', '-o', 'x.png'],
      1,
      /tuto\/3 has no record of what it said of each image\nablate eval tuto\/3 --mistakes mistakes\.html/,
    ],
    [['activations', 'tuto/1', '-o', 'x.png', '--image', '2000'], 2, /image \(=2000\) must be below 2000/],
    [['activations', 'tuto/1', '-o', 'x.png', '--image', 'no.png'], 1, /cannot read no\.png/],
    [['activations', 'tuto/1', '-o', 'x.png', '--layer', 'conv9'], 2, /layer \(=conv9\) must be one of conv1, /],
  ] as const)('%s', async (args, exitCode, message) => {
    const { code, stderr } = await ablate('show', ...args);
    expect(stderr).toMatch(message);
    expect(code).toBe(exitCode);
    expect(existsSync(join(folder, 'x.png'))).toBe(false);
  });
});

describe('eval --mistakes', () => {
  test.each([
    [['--mistakes', 'x.txt'], 2, /mistakes \(=x\.txt\) must end in \.html or \.csv/],
    [['--mistakes', 'x.csv', '--watch'], 2, /--mistakes is of one evaluation, and --watch makes several/],
    [['--mistakes', 'missing/x.csv'], 1, /there is no folder missing/],
  ] as const)('%s', async (args, exitCode, message) => {
    const { code, stderr } = await ablate('eval', 'tuto/1', ...args);
    expect(stderr).toMatch(message);
    expect(code).toBe(exitCode);
  });

  test('as a table: as many mistakes as the evaluation counts', async () => {
    const { code, stdout, stderr } = await ablate('eval', 'tuto/1', '--threads', '1', '--mistakes', 'mistakes.csv', '--json');
    expect(code, stderr).toBe(0);
    const { accuracy, images } = JSON.parse(stdout) as { accuracy: number; images: number };
    const lines = readFileSync(join(folder, 'mistakes.csv'), 'utf8').trim().split('\r\n');
    expect(lines).toHaveLength(1 + Math.round((1 - accuracy) * images));
    for (const line of lines.slice(1)) {
      const [index, label] = line.split(',');
      expect(dataset.classes[dataset.test.labels[Number(index)]!]).toBe(label);
    }
    const again = await ablate('eval', 'tuto/1', '--threads', '1', '--mistakes', 'mistakes.csv');
    expect(again.stderr).toMatch(/mistakes\.csv exists/);
    expect(again.code).toBe(1);
  });
});
