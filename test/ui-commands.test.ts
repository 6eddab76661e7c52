/** `train --ui`, `study --ui` and `compress --ui` as processes: a browser follows the run on the page that they serve, and the page ends with them. */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { browserFlags, browserPath, whyNoBrowser } from './browser.ts';
import { compiledFolder } from './compile-sources.ts';
import { skippable } from './skippable.ts';

const inBrowser = test.skipIf(whyNoBrowser);
const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'ablate-ui-commands-'));
/** The package as it is installed: compiled, with the page. */
const package_ = join(folder, 'package');

const net = `import { defineModel } from 'ablate';
export default defineModel({
  name: 'net',
  settings: {},
  layers(b, _, classes) {
    const x = b.conv('conv1', b.input, { kernel: 3, filters: 6, stride: 2, activation: 'relu' });
    const y = b.conv('conv2', x, { kernel: 3, filters: 6, activation: 'relu' });
    return b.dense('logits', b.globalAvgPool('average', y), { features: classes });
  },
});
`;
const data = `import { defineDataset } from 'ablate';
const draw = (count) => () => ({
  images: Uint8Array.from({ length: count * 64 }, (_, i) => 120 * (Math.floor(i / 64) % 2) + ((i * 37) % 90)),
  labels: Array.from({ length: count }, (_, i) => i % 2),
});
export default defineDataset({ name: 'halves', classes: ['dark', 'bright'], height: 8, width: 8, channels: 1, train: draw(60), test: draw(20) });
`;
const study = `name: rates
dataset: ./data.js
baseline: { model: ./net.js, steps: 300, batchSize: 4 }
design: one-at-a-time
factors: [{ name: lower rate, set: { learningRate: 0.001 } }]
seeds: 1
`;

let browser: Browser;
let page: Page;
beforeAll(async () => {
  if (browserPath === undefined) return;
  mkdirSync(package_);
  cpSync(compiledFolder, join(package_, 'dist'), { recursive: true });
  for (const entry of ['package.json', 'node_modules']) symlinkSync(join(root, entry), join(package_, entry));
  const configFile = fileURLToPath(new URL('../src/web/ui/vite.config.ts', import.meta.url));
  await build({ configFile, logLevel: 'error', build: { outDir: join(package_, 'dist', 'client', 'ui') } });
  for (const [name, text] of Object.entries({ 'net.js': net, 'data.js': data, 'rates.yaml': study })) {
    writeFileSync(join(folder, name), text);
  }
  browser = await chromium.launch({ executablePath: browserPath, args: browserFlags });
  page = await browser.newPage();
  page.setDefaultTimeout(30_000);
});
afterAll(async () => {
  if (browserPath === undefined) return;
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Started {
  /** Of its live page. */
  readonly url: string;
  stop(): void;
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
}

/** Starts a command with `--ui` and waits until it says where its page is. */
async function start(args: readonly string[]): Promise<Started> {
  const common = ['--engine', 'reference', '--threads', '1', '--ui'];
  const child = spawn(process.execPath, [join(package_, 'dist/cli/main.js'), ...args, ...common], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  let said: (url: string) => void;
  const address = new Promise<string>((resolve) => (said = resolve));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    const url = /live page: (http\S+)/.exec(stderr)?.[1];
    if (url !== undefined) said(url);
  });
  const ended = new Promise<{ code: number | null; stderr: string }>((resolve) => {
    child.once('close', (code) => resolve({ code, stderr }));
  });
  const early = ended.then(({ code }) => Promise.reject(new Error(`it ended with ${code} before it served a page: ${stderr}`)));
  return { url: await Promise.race([address, early]), stop: () => child.kill('SIGINT'), ended };
}

/** The page went with the command: nothing listens any more. */
async function expectGone(url: string): Promise<void> {
  await page.getByText('connection lost').waitFor();
  await expect(fetch(url)).rejects.toThrow();
}

inBrowser(skippable('a training is followed until Ctrl-C, which saves it and ends the page with it', whyNoBrowser), async () => {
  const endless = ['--steps', '1000000', '--batch-size', '4', '--log-every', '20', '--eval-every', '0', '--save-every', '0'];
  const { url, stop, ended } = await start(['train', './net.js', '--data', './data.js', ...endless]);
  await page.goto(`${url}#/run/net%2F1`);
  await page.locator('.title .state.running').waitFor();
  const stepsShown = async () => {
    const figure = page.getByRole('figure', { name: 'loss', exact: true });
    const details = figure.locator('details');
    if ((await details.getAttribute('open')) === null) await details.locator('summary').click();
    return Number((await details.locator('tbody tr').last().locator('th, td').first().textContent())?.replaceAll(',', ''));
  };
  const first = await stepsShown();
  await expect.poll(stepsShown).toBeGreaterThan(first);
  stop();
  expect(await ended).toMatchObject({ code: 130 });
  await expectGone(url);
});

inBrowser(skippable('a study is followed to its end, which is that of the page', whyNoBrowser), async () => {
  const { url, ended } = await start(['study', 'rates.yaml']);
  await page.goto(`${url}#/study/rates`);
  await page.getByText('lower rate').first().waitFor();
  expect(await ended).toMatchObject({ code: 0 });
  await expectGone(url);
});

inBrowser(skippable('a compression is followed to its end, which is that of the page', whyNoBrowser), async () => {
  const args = ['net/2', '--operations', '0.8', '--rounds', '1', '--steps', '2000', '--max-drop', '100', '-o', 'small.onnx'];
  const { url, ended } = await start(['compress', ...args]);
  await page.goto(`${url}#/runs`);
  // What is trained after filters are gone is a run like others.
  await page.getByRole('link', { name: 'net/4' }).waitFor();
  expect(await ended).toMatchObject({ code: 0 });
  await expectGone(url);
});
