/** `ablate ui` and `train --ui`, `study --ui`, `compress --ui` as processes: who is told what, and a browser that follows a run on the page that they serve. */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { hostname, networkInterfaces, tmpdir } from 'node:os';
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
baseline: { model: ./net.js, steps: 60, batchSize: 4 }
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
  page.setDefaultTimeout(90_000);
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

/** `ablate ui` until it is stopped. */
async function serve(args: readonly string[], work: (url: string, said: () => string) => Promise<void>): Promise<void> {
  const child = spawn(process.execPath, [join(package_, 'dist/cli/main.js'), 'ui', '--port', '0', ...args], { cwd: folder });
  const ended = new Promise((resolve) => child.once('close', resolve));
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  try {
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout.setEncoding('utf8').once('data', (text: string) => {
        resolve(text.trim());
      });
      void ended.then((code) => {
        reject(new Error(`it ended with ${String(code)}: ${stderr}`));
      });
    });
    await work(url, () => stderr);
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

/** What a server answers to a request by a name. */
function ask(host: string, port: string, name: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    request({ host, port, headers: { host: name }, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.once('end', () => {
        resolve({ status: response.statusCode!, text });
      });
    })
      .once('error', reject)
      .end();
  });
}

/** Of this machine in its network; undefined where it has none. */
const networkAddress = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

inBrowser(skippable('ablate ui says who can read the page, and how to open it from elsewhere', whyNoBrowser), async () => {
  await serve([], async (url, said) => {
    const { port, hostname: host } = new URL(url);
    expect(host).toBe('127.0.0.1');
    await expect.poll(said).toContain('All users of this machine can read these runs there, and nobody else.');
    expect(said()).toContain(`ssh -L ${port}:localhost:${port} <this machine>`);
    if (networkAddress !== undefined) await expect(ask(networkAddress, port, networkAddress)).rejects.toThrow('ECONNREFUSED');
    // A tunnel may end at any port, a proxy at any name.
    expect((await ask(host, port, 'localhost:9999')).status).toBe(200);
    const refused = await ask(host, port, 'lab.example.org');
    expect(refused).toMatchObject({ status: 421 });
    expect(refused.text).toContain('not to "lab.example.org"');
    expect(refused.text).toContain('start it with --host and this name');
    await page.goto(url);
    await page.getByText('All users of the machine that serves this page can open it, and nobody else.').waitFor();
  });
  await serve(['--host', '0.0.0.0', '--control'], async (url, said) => {
    const { port, hostname: host, hash } = new URL(url);
    expect(host).toBe('localhost');
    expect(hash).toMatch(/token=[0-9a-f]{32}$/);
    await expect.poll(said).toContain('For yourself alone, leave --host out');
    expect(said()).toContain('Whoever reaches it over the network can read these runs: there is no password');
    expect(said()).toContain(`From other machines: http://${hostname()}:${port}/${hash}`);
    expect((await ask('127.0.0.1', port, `${hostname()}:${port}`)).status).toBe(200);
    if (networkAddress !== undefined) {
      expect(said()).toContain(` or http://${networkAddress}:${port}/${hash}`);
      expect((await ask(networkAddress, port, networkAddress)).status).toBe(200);
    }
    await page.goto(url);
    await page.getByText('Whoever reaches this address over the network can open this page').waitFor();
  });
  await serve(['elsewhere'], async (_url, said) => {
    await expect.poll(said).toContain('there is no folder elsewhere yet: the page is empty until runs are in it');
  });
});

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
  await page.getByRole('rowheader', { name: 'lower rate' }).first().waitFor();
  expect(await ended).toMatchObject({ code: 0 });
  await expectGone(url);
});

inBrowser(skippable('a compression is followed until it is interrupted, which ends the page', whyNoBrowser), async () => {
  // It would take minutes: a short one may have ended before the page has asked once.
  const args = ['net/2', '--operations', '0.8', '--rounds', '1', '--steps', '200000', '--max-drop', '100', '-o', 'small.onnx'];
  const { url, stop, ended } = await start(['compress', ...args]);
  await page.goto(`${url}#/runs`);
  // What is trained after filters are gone is a run like others.
  await page.getByRole('link', { name: 'net/4' }).waitFor();
  stop();
  expect(await ended).toMatchObject({ code: 130 });
  await expectGone(url);
});
