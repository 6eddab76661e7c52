/** examples/browser-training in a real browser: a page trains on the software adapter, with the losses of the same training in Node. */
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ModelDefinition } from '../src/models/model.ts';
import { generateSynthetic } from '../src/data/synthetic.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { createClassifier } from '../src/train/classifier.ts';
import { resolveConfig } from '../src/train/config.ts';
import { train } from '../src/train/train.ts';
import { browserPath, webgpuFlags, whyNoBrowser } from './browser.ts';
import { skippable } from './skippable.ts';

const inBrowser = test.skipIf(whyNoBrowser);
const folder = mkdtempSync(join(tmpdir(), 'ablate-page-'));
const example = fileURLToPath(new URL('../examples/browser-training', import.meta.url));
const library = fileURLToPath(new URL('../src/browser.ts', import.meta.url));
const types: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript' };

let server: Server;
let url = '';
let browser: Browser;

beforeAll(async () => {
  if (browserPath === undefined) return;
  await build({
    ...{ root: example, base: './', configFile: false, logLevel: 'error' },
    resolve: { alias: { 'ablate/browser': library } },
    build: { outDir: folder, target: 'es2022', emptyOutDir: true },
    plugins: [
      {
        name: 'nothing-of-node',
        enforce: 'pre',
        resolveId: (id) => {
          if (id.startsWith('node:')) throw new Error(`a page cannot import ${id}`);
        },
      },
    ],
  });
  server = createServer(({ url: path = '/' }, response) => {
    const name = path.replace(/\?.*/, '').replace(/\/$/, '/index.html');
    response.setHeader('content-type', types[extname(name)] ?? 'application/octet-stream');
    createReadStream(join(folder, name))
      .on('error', () => response.writeHead(404).end())
      .pipe(response);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  browser = await chromium.launch({ executablePath: browserPath, args: webgpuFlags });
});
afterAll(async () => {
  if (browserPath === undefined) return;
  await browser.close();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function openPage(query: Readonly<Record<string, string | number>>, before = ''): Promise<Page> {
  const page = await browser.newPage();
  await page.addInitScript(before);
  const search = Object.entries(query).map(([key, value]) => `${key}=${value}`);
  await page.goto(`${url}?${search.join('&')}`);
  await page.getByRole('button', { name: 'Train' }).click();
  return page;
}

const keys = { recipe: 'modern', steps: 24, batchSize: 16, learningRate: 0.2, filters: 6, seed: 3 };
const counts = { trainCount: 200, testCount: 40 };

inBrowser(skippable('a page trains, with the losses that the same training has in Node', whyNoBrowser), async () => {
  const page = await openPage({ ...keys, ...counts });
  await page.getByText(/steps taken/).waitFor({ timeout: 60_000 });
  const losses = (await page.locator('#losses li').allTextContents()).map(Number);

  const net = ((await import(join(example, 'net.js'))) as { default: ModelDefinition }).default;
  const dataset = generateSynthetic(counts);
  const config = resolveConfig({ model: net, dataset: dataset.name, ...keys });
  const expected: number[] = [];
  const { evaluations } = await train({
    ...{ config, dataset, engine: referenceEngine, classifier: createClassifier(config, dataset, net) },
    hooks: { onStep: ({ loss }) => void expected.push(loss) },
  });
  expect(losses).toHaveLength(keys.steps);
  losses.forEach((loss, i) => expect(Math.abs(loss / expected[i]! - 1), `step ${i + 1}`).toBeLessThan(1e-4));
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(mean(losses.slice(-6))).toBeLessThan(0.95 * mean(losses.slice(0, 6)));
  await page.getByText(`${(100 * evaluations[0]!.accuracy).toFixed(1)}% of the test images are right`).waitFor();
  await page.close();
});

inBrowser(skippable('a page says what is wrong: no WebGPU, a key that is none', whyNoBrowser), async () => {
  const without = await openPage({}, "Object.defineProperty(navigator, 'gpu', { value: undefined })");
  await without.getByText('this browser has no WebGPU, or not for this page. Use a browser that has it').waitFor();
  const wrong = await openPage({ ...counts, batchSize: 0 });
  await wrong.getByText('batchSize (=0) must be a positive integer').waitFor();
  await Promise.all([without.close(), wrong.close()]);
});
