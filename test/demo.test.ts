/** The page of `ablate demo` in a real browser: Debian's Chromium, headless. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { quantize } from '../src/compress/quantize/quantize.ts';
import { cifar10Classes } from '../src/data/cifar10.ts';
import { generateSynthetic } from '../src/data/synthetic.ts';
import { openFrozenModel } from '../src/deploy/frozen-model.ts';
import { labelImage } from '../src/deploy/label.ts';
import { freezeUntrained } from './freeze-untrained.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { encodePng } from '../src/runs/png.ts';
import { uint32 } from '../src/util/random.ts';
import { startDemo } from '../src/web/demo/server.ts';
import type { PageServer } from '../src/web/page-server.ts';
import { browserFlags, browserPath, whyNoBrowser } from './browser.ts';
import { skippable } from './skippable.ts';

const inBrowser = test.skipIf(whyNoBrowser);

const folder = mkdtempSync(join(tmpdir(), 'ablate-demo-'));
const modelPath = join(folder, 'squeeze0.onnx');
const widePath = join(folder, 'wide.onnx');
const greyPath = join(folder, 'grey.onnx');
const int8Path = join(folder, 'squeeze0.int8.onnx');
let server: PageServer;
let browser: Browser;
let page: Page;
const requested: string[] = [];
const failures: string[] = [];

beforeAll(async () => {
  if (browserPath === undefined) return;
  const clientFolder = join(folder, 'client');
  const configFile = fileURLToPath(new URL('../src/web/demo/vite.config.ts', import.meta.url));
  await build({ configFile, logLevel: 'error', build: { outDir: clientFolder } });
  const frozen = await freezeUntrained(referenceEngine, { model: 'squeeze0' });
  writeFileSync(modelPath, frozen.encode(null));
  const second = await freezeUntrained(referenceEngine, { model: 'nin0' });
  writeFileSync(join(folder, 'nin0.onnx'), second.encode(null));
  writeFileSync(int8Path, await quantized(frozen.encode(null)));
  const { classes } = generateSynthetic({ trainCount: 1, testCount: 1 });
  const shapes = await freezeUntrained(referenceEngine, { model: 'squeeze0' }, classes);
  writeFileSync(join(folder, 'shapes.onnx'), shapes.encode(null));
  const wide = await freezeUntrained(referenceEngine, { model: 'squeeze0', inputSize: [24, 32] });
  writeFileSync(widePath, wide.encode(null));
  const grey = await freezeUntrained(referenceEngine, { model: 'squeeze0', inputSize: 28 }, cifar10Classes, 1);
  writeFileSync(greyPath, grey.encode(null));
  server = await startDemo({
    models: [modelPath, join(folder, 'nin0.onnx'), int8Path, join(folder, 'shapes.onnx'), widePath, greyPath],
    port: 0,
    clientFolder,
  });
  browser = await chromium.launch({ executablePath: browserPath, args: browserFlags });
  page = await browser.newPage();
  page.setDefaultTimeout(90_000);
  page.on('request', (request) => requested.push(request.url()));
  page.on('pageerror', (error) => failures.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') failures.push(message.text());
  });
  await page.goto(server.url);
  await page.getByText('Give it an image').waitFor();
});

afterAll(async () => {
  if (browserPath === undefined) return;
  await browser.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The same network in 8-bit integers. */
async function quantized(bytes: Uint8Array): Promise<Uint8Array> {
  const dataset = { ...generateSynthetic({ trainCount: 64, testCount: 1 }), classes: cifar10Classes };
  const { encode } = await quantize({
    file: { bytes, source: modelPath },
    seed: 1,
    dataset,
  });
  return encode(null);
}

/** Probabilities by class, once the page shows some for the image just given. */
async function shownProbabilities(): Promise<Record<string, number>> {
  await page.locator('#timing dd').first().waitFor();
  const rows = await page.locator('#classes li').all();
  const attribute = async (row: Locator, name: string) => (await row.getAttribute(name)) ?? '';
  const entries = rows.map(async (row) => [await attribute(row, 'data-class'), Number(await attribute(row, 'data-probability'))]);
  return Object.fromEntries((await Promise.all(entries)) as [string, number][]);
}

async function give(name: string, mimeType: string, buffer: Uint8Array): Promise<void> {
  await page.locator('#file').setInputFiles({ name, mimeType, buffer: Buffer.from(buffer) });
}

/** What Node says of an image, by class. */
async function probabilitiesInNode(path: string, imagePath: string): Promise<Record<string, number>> {
  const model = await openFrozenModel(path);
  const { top } = await labelImage(model, imagePath, { top: 10, runs: 1 });
  await model.session.dispose();
  return Object.fromEntries(top.map(({ label, probability }) => [label, probability]));
}

function largestDifference(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): number {
  return Math.max(...cifar10Classes.map((name) => Math.abs(a[name]! - b[name]!)));
}

inBrowser(
  skippable('a PNG image gets the same probabilities in the browser and in Node, in float32 and in 8-bit integers', whyNoBrowser),
  async () => {
    const [width, height] = [75, 50];
    const samples = Uint8Array.from({ length: width * height * 3 }, (_, i) => ((i * 7) % 150) + (uint32(3, i) % 100));
    const image = encodePng({ width, height, channels: 3, samples });
    const imagePath = join(folder, 'image.png');
    writeFileSync(imagePath, image);
    const inFloat = await probabilitiesInNode(modelPath, imagePath);
    const inIntegers = await probabilitiesInNode(int8Path, imagePath);
    const rounding = largestDifference(inFloat, inIntegers);
    expect(rounding).toBeGreaterThan(1e-5);
    await give('image.png', 'image/png', image);
    const floatShown = await shownProbabilities();
    // Of 75 x 50 pixels the network sees the central 50 x 50; the picture is shown in a square.
    const [whole, frame] = await Promise.all([page.locator('.framed').boundingBox(), page.locator('#frame').boundingBox()]);
    expect(frame!.width / whole!.width).toBeCloseTo(50 / 75, 2);
    expect(frame!.height / whole!.height).toBeCloseTo(50 / 75, 2);
    expect(frame!.x + frame!.width / 2).toBeCloseTo(whole!.x + whole!.width / 2, 0);
    expect(Object.keys(floatShown)).toHaveLength(10);
    expect(largestDifference(floatShown, inFloat)).toBeLessThan(1e-5);
    await page.locator('#model').selectOption({ label: 'squeeze0.int8.onnx' });
    await expect
      .poll(async () => largestDifference(await shownProbabilities(), inIntegers), { timeout: 60_000 })
      .toBeLessThan(rounding / 10);
  },
);

inBrowser(skippable('rectangles and grey images are classified in the browser as in Node', whyNoBrowser), async () => {
  const [width, height] = [75, 50];
  const samples = Uint8Array.from({ length: width * height * 3 }, (_, i) => ((i * 11) % 170) + (uint32(4, i) % 80));
  const image = encodePng({ width, height, channels: 3, samples });
  const imagePath = join(folder, 'rectangle.png');
  writeFileSync(imagePath, image);
  await page.locator('#model').selectOption({ label: 'wide.onnx' });
  await give('rectangle.png', 'image/png', image);
  for (const [label, path, framed] of [
    // Of 75 x 50 pixels the central part that is 32 wide where it is 24 high: 67 x 50.
    ['wide.onnx', widePath, 67 / 75],
    ['grey.onnx', greyPath, 50 / 75],
  ] as const) {
    const inNode = await probabilitiesInNode(path, imagePath);
    await page.locator('#model').selectOption({ label });
    await expect.poll(async () => largestDifference(await shownProbabilities(), inNode), { timeout: 60_000 }).toBeLessThan(1e-5);
    const [whole, frame] = await Promise.all([page.locator('.framed').boundingBox(), page.locator('#frame').boundingBox()]);
    expect(frame!.width / whole!.width).toBeCloseTo(framed, 2);
  }
  await page.locator('#model').selectOption({ label: 'squeeze0.onnx' });
});

inBrowser(skippable('what is no image, or too small, is refused in words', whyNoBrowser), async () => {
  await give('notes.png', 'image/png', new TextEncoder().encode('no image'));
  await page.locator('#status.error').getByText('not an image').waitFor();
  // Nothing of the image before.
  expect(await page.locator('#pictures').isVisible()).toBe(false);
  expect(await page.locator('#classes li[data-probability]').count()).toBe(0);
  expect(await page.locator('#timing dd').count()).toBe(0);
  const small = encodePng({ width: 10, height: 40, channels: 3, samples: new Uint8Array(1200) });
  await give('small.png', 'image/png', small);
  await page.locator('#status.error').getByText('The image is 10×40 pixels, and the network sees 24×24').waitFor();
});

inBrowser(skippable('a sample is classified, and classified again by another network', whyNoBrowser), async () => {
  await page.locator('#model').selectOption({ label: 'shapes.onnx' });
  const offered = () => page.evaluate<string[]>("[...document.querySelectorAll('#samples img')].map(({ alt }) => alt)");
  await expect.poll(offered, { timeout: 60_000 }).toEqual(generateSynthetic({ trainCount: 1, testCount: 1 }).classes);
  await page.locator('#model').selectOption({ label: 'squeeze0.onnx' });
  await expect.poll(offered, { timeout: 60_000 }).toEqual(cifar10Classes);
  await page.locator('#samples img[alt=ship]').click();
  await expect.poll(() => page.locator('#preview-caption').textContent()).toBe('256×256');
  const first = await shownProbabilities();
  await page.locator('#model').selectOption({ label: 'nin0.onnx' });
  await expect.poll(async () => (await shownProbabilities())['ship'], { timeout: 60_000 }).not.toBe(first['ship']);
});

inBrowser(skippable('threads are allowed, everything comes from this server, and nothing failed', whyNoBrowser), async () => {
  expect(await page.evaluate<boolean>('crossOriginIsolated')).toBe(true);
  const elsewhere = requested.filter((url) => !url.startsWith(server.url) && !/^(blob|data):/.test(url));
  expect(elsewhere).toEqual([]);
  expect(failures).toEqual([]);
});
