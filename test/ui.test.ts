/** The live page in a real browser: Debian's Chromium, headless. */
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type Page, type Request } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { generateSynthetic } from '../src/data/synthetic.ts';
import { cifar10Classes } from '../src/data/cifar10.ts';
import { environmentVariable } from '../src/util/env.ts';
import { thisProcess } from '../src/util/process-identity.ts';
import type { PageServer } from '../src/web/page-server.ts';
import { startUi } from '../src/web/ui/server/server.ts';
import { browserFlags, browserPath, whyNoBrowser } from './browser.ts';
import { pageStudy } from './page-study.ts';
import { metricsLine, recordCheckpoint, recordedPrediction, recordPredictions, recordRun } from './recorded-runs.ts';
import { skippable } from './skippable.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-ui-'));
const clientFolder = join(folder, 'client');
/** Never changed by a test. */
const given = join(folder, 'given');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const synthetic = generateSynthetic();
const screenshots = environmentVariable('ABLATE_UI_SCREENSHOTS');

let browser: Browser;
let runs = '';
/** Shared by all tests that only look at `given`: they go from place to place of one page, whose server has read the runs and the pictures once. */
let shared: { readonly server: PageServer; readonly opened: OpenPage };

beforeAll(async () => {
  if (browserPath === undefined) return;
  const configFile = fileURLToPath(new URL('../src/web/ui/vite.config.ts', import.meta.url));
  await build({ configFile, logLevel: 'error', build: { outDir: clientFolder } });
  await recordFolder(given);
  browser = await chromium.launch({ executablePath: browserPath, args: browserFlags });
  const server = await startUi({ runsFolder: given, port: 0, clientFolder });
  shared = { server, opened: await openPage() };
});
afterAll(async () => {
  if (browserPath === undefined) return;
  await browser.close();
  await shared.server.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  runs = mkdtempSync(join(folder, 'runs-'));
});

/** A study of three variants and three seeds, the last two of its runs not finished, and three runs of other models. */
async function recordFolder(root: string): Promise<void> {
  const common = { steps: 200, evalEvery: 20, saveEverySeconds: 60, keepCheckpoints: 1 };
  const variants = { baseline: {}, 'no augmentation': { augment: false, inputSize: 24 }, 'no LRN': { lrn: false } };
  const states = [1, 2, 3].flatMap((seed, i) =>
    Object.entries(variants).map(([variant, overrides], k) => {
      const number = 3 * i + k + 1;
      const share = number < 8 ? 1 : number === 8 ? 0.5 : 0;
      const accuracy = 0.6 + 0.05 * k;
      recordRun(root, { number, accuracy, share, overrides: { ...common, ...overrides, seed } });
      return { variant, seed, run: `tuto/${number}`, state: share === 1 ? 'finished' : 'waiting' };
    }),
  );
  const text = pageStudy;
  mkdirSync(join(root, '.studies', 'quick-start'), { recursive: true });
  const dataset = {
    name: 'cifar10',
    fingerprint: 'x',
    synthetic: false,
    classes: cifar10Classes,
    shape: [3, 32, 32],
    train: { count: 50_000 },
  };
  writeFileSync(
    join(root, '.studies', 'quick-start', 'study.json'),
    JSON.stringify({
      ...{ format: 'ablate-study-1', name: 'quick-start', file: { path: 'studies/quick-start.yaml', text }, dataset },
      ...{ runs: states, updatedAt: '2026-01-31T12:00:00.000Z' },
    }),
  );
  recordRun(root, { number: 10, records: 3000, overrides: { steps: 30_000 } });
  recordRun(root, {
    model: 'nin0',
    number: 1,
    share: 0.3,
    status: { status: 'failed', diverged: true, reason: 'the loss is not finite' },
  });
  const squeeze = recordRun(root, {
    ...{ model: 'squeeze1', number: 1, accuracy: 0.9, classes: synthetic.classes },
    overrides: { recipe: 'modern', dataset: 'synthetic' },
  });
  await recordDetails(squeeze);
}

/** An evaluation and two checkpoints. */
async function recordDetails(path: string): Promise<void> {
  const { classes, fingerprint, test: images } = synthetic;
  const confusion = classes.map(() => classes.map(() => 0));
  images.labels.forEach((label, image) => {
    confusion[label]![recordedPrediction(synthetic, image)]!++;
  });
  const perClass = classes.map((label, i) => {
    const count = confusion[i]!.reduce((sum, n) => sum + n, 0);
    return { label, images: count, accuracy: confusion[i]![i]! / count };
  });
  const right = confusion.reduce((sum, row, i) => sum + row[i]!, 0);
  writeFileSync(
    join(path, 'evaluation.json'),
    JSON.stringify({
      split: 'test',
      tta: 'none',
      accuracy: right / images.count,
      loss: 0.6,
      images: images.count,
      imagesPerSecond: 1,
      perClass,
      confusion,
      step: 1000,
      weights: 'ema',
      datasetFingerprint: fingerprint,
    }),
  );
  for (const step of [500, 1000]) await recordCheckpoint(path, step);
  recordPredictions(path, synthetic);
}

interface OpenPage {
  readonly page: Page;
  /** Requests without an answer yet, but for the stream of events, which never ends. */
  readonly pending: Set<Request>;
  readonly requested: string[];
  readonly failures: string[];
}

/** A page that keeps what must never be: errors, and requests to anywhere else. */
async function openPage(): Promise<OpenPage> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(20_000);
  const requested: string[] = [];
  const failures: string[] = [];
  const pending = new Set<Request>();
  page.on('request', (request) => {
    requested.push(request.url());
    if (request.resourceType() !== 'eventsource') pending.add(request);
  });
  page.on('requestfinished', (request) => pending.delete(request));
  page.on('requestfailed', (request) => pending.delete(request));
  page.on('pageerror', (error) => failures.push(error.message));
  page.on('dialog', (dialog) => failures.push(`dialog: ${dialog.message()}`));
  page.on('console', (message) => {
    // Chromium's advice to whoever reads a canvas twice: here that is a test, which waits for what is drawn.
    if (message.text().includes('willReadFrequently')) return;
    if (message.type() === 'error' || message.type() === 'warning') failures.push(message.text());
  });
  return { page, pending, requested, failures };
}

/** Opens a place of a server's page, and looks for what must never be. */
async function visit(
  { page, requested, failures }: OpenPage,
  { url }: PageServer,
  path: string,
  work: (page: Page) => Promise<void>,
): Promise<void> {
  requested.length = failures.length = 0;
  await page.goto(`${url}#/${path}`);
  await work(page);
  expect(failures).toEqual([]);
  expect(requested.filter((each) => !each.startsWith(url) && !/^(data|blob):/.test(each))).toEqual([]);
}

/** At a place of the page of `given`, which nothing may change. */
async function onGiven(path: string, work: (page: Page) => Promise<void>): Promise<void> {
  await visit(shared.opened, shared.server, path, work);
}

/** At a place of a page of its own, of the runs that the test writes. */
async function onRuns(path: string, work: (page: Page) => Promise<void>, token?: string): Promise<void> {
  const server = await startUi({ runsFolder: runs, port: 0, clientFolder, token });
  const opened = await openPage();
  try {
    await visit(opened, server, path, work);
  } finally {
    await opened.page.close();
    await server.close();
  }
}

/** Nothing is asked for, the pictures in view are there, and what follows from them is drawn. */
async function settled({ page, pending }: Pick<OpenPage, 'page' | 'pending'>): Promise<void> {
  await expect.poll(() => pending.size, { timeout: 60_000 }).toBe(0);
  const haveLoaded = `[...document.images].every((image) => image.complete || image.getBoundingClientRect().top > innerHeight)`;
  await expect.poll(() => page.evaluate(haveLoaded)).toBe(true);
  await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve())))');
  if (pending.size > 0) await settled({ page, pending });
}

/** The rows of the table behind a chart, the first its header. */
async function tableBehind(page: Page, chart: string): Promise<string[][]> {
  const figure = page.getByRole('figure', { name: chart, exact: true });
  const details = figure.locator('details');
  if ((await details.getAttribute('open')) === null) await details.locator('summary').click();
  await details.locator('tbody tr').first().waitFor();
  const rows = await details.locator('tr').all();
  return await Promise.all(rows.map((row) => row.locator('th, td').allTextContents()));
}

const views = {
  runs: { path: 'runs', shows: 'test accuracy' },
  'runs in groups': { path: 'runs?group=model.lrn&runs=0:tuto/1+1:tuto/2+2:tuto/3+3:tuto/4+4:tuto/6', shows: '95% interval' },
  studies: { path: 'studies', shows: 'A first study of tuto' },
  study: { path: 'study/quick-start', shows: 'What each change buys' },
  'a run': { path: 'run/squeeze1%2F1', shows: 'gradient norm by layer' },
  'right and wrong': { path: 'run/squeeze1%2F1?tab=mistakes', shows: 'Most often confused' },
  filters: { path: 'run/squeeze1%2F1?tab=filters', shows: 'step 1,000' },
  activations: { path: 'run/squeeze1%2F1?tab=activations&image=7', shows: '3 × 24 × 24' },
  network: { path: 'run/squeeze1%2F1?tab=network', shows: 'fire2' },
  record: {
    path: 'run/squeeze1%2F1?tab=record',
    shows: 'npx ablate train squeeze1 --data synthetic --recipe modern --steps 1000 --seed 1',
  },
};

const looks = [
  { width: 390, colorScheme: 'light' },
  { width: 1100, colorScheme: 'dark' },
  { width: 2560, colorScheme: 'light' },
] as const;

describe.skipIf(whyNoBrowser)(skippable('in Chromium', whyNoBrowser), () => {
  test.each(looks)(
    '$width pixels, $colorScheme: nothing is cut, and a screen reader finds its way',
    async ({ width, colorScheme }) => {
      const { opened, server } = shared;
      await opened.page.setViewportSize({ width, height: 900 });
      await opened.page.emulateMedia({ colorScheme });
      await opened.page.goto(server.url);
      await opened.page.evaluate(axe);
      for (const [name, { path, shows }] of Object.entries(views)) {
        await onGiven(path, async (page) => {
          await page.getByText(shows).first().waitFor({ state: 'attached' });
          await settled(opened);
          // The page itself never scrolls sideways: what is wide scrolls in its frame.
          expect(await page.evaluate<number>('document.documentElement.scrollWidth'), name).toBeLessThanOrEqual(width);
          if (screenshots !== undefined) {
            const file = `${name.replaceAll(' ', '-')}-${width}-${colorScheme}.png`;
            await page.screenshot({ path: join(screenshots, file), fullPage: true });
          }
          const found = await page.evaluate<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>(
            "axe.run({ resultTypes: ['violations'] })",
          );
          const serious = found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
          expect(serious.map(({ id, nodes }) => `${name}: ${id}: ${nodes.map(({ html }) => html).join('\n')}`)).toEqual([]);
        });
      }
      await opened.page.setViewportSize({ width: 1280, height: 900 });
      await opened.page.emulateMedia({ colorScheme: 'light' });
    },
  );

  test('curves are drawn in the colours of their runs, and the table behind has their values', async () => {
    await onGiven('runs?runs=0:tuto%252F1+1:tuto%252F2', async (page) => {
      const rows = await tableBehind(page, 'test accuracy');
      expect(rows[0]).toEqual(['steps', 'tuto/1', 'tuto/2']);
      const last = rows.at(-1)!;
      expect(last[0]).toBe('200');
      expect(Math.abs(Number.parseFloat(last[1]!) - 59)).toBeLessThan(2);
      expect(Number.parseFloat(last[2]!)).toBeGreaterThan(Number.parseFloat(last[1]!));
      const colours = await page.evaluate<number[]>(`(() => {
        const canvas = document.querySelector('.chart canvas.curve-layer');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const near = (r, g, b) => {
          let count = 0;
          for (let i = 0; i < data.length; i += 4) {
            if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 30 && data[i + 3] > 200) count++;
          }
          return count;
        };
        return [near(0x2a, 0x78, 0xd6), near(0xd9, 0x62, 0x0f), near(0x0d, 0x7a, 0x54)];
      })()`);
      expect(colours[0]).toBeGreaterThan(100);
      expect(colours[1]).toBeGreaterThan(100);
      expect(colours[2]).toBe(0);
    });
  });

  test('over the images and the time of training, smoothed, and on a logarithmic axis', async () => {
    await onGiven('runs?runs=0:tuto%252F1&metrics=train/loss', async (page) => {
      const lastOf = async () => (await tableBehind(page, 'training loss')).at(-1)!;
      expect((await lastOf())[0]).toBe('200');
      await page.getByText('images', { exact: true }).click();
      await expect.poll(lastOf).toMatchObject(['25.6k', expect.any(String)]);
      await page.getByText('time', { exact: true }).click();
      await expect.poll(lastOf).toMatchObject(['0:20', expect.any(String)]);
      const before = (await tableBehind(page, 'training loss')).map(([, value]) => value);
      await page.getByLabel('Smoothing').first().fill('6');
      await expect.poll(async () => (await tableBehind(page, 'training loss')).map(([, value]) => value)).not.toEqual(before);
      await page.getByRole('button', { name: 'log', exact: true }).click();
      await expect.poll(() => page.url()).toContain('logy=train%2Floss');
      await page.reload();
      await page.getByRole('button', { name: 'log', exact: true, pressed: true }).waitFor();
    });
  });

  test('groups have the mean of their runs, and differences from one of them are paired by seed', async () => {
    const chosen = [1, 3, 4, 6].map((number, i) => `${i}:tuto%252F${number}`).join('+');
    await onGiven(`runs?runs=${chosen}&group=model.lrn`, async (page) => {
      const rows = await tableBehind(page, 'test accuracy');
      expect(rows[0]).toEqual(['steps', 'lrn true', 'lrn false']);
      const [, withLrn, without] = rows.at(-1)!.map(Number.parseFloat);
      await page.getByRole('img', { name: /^test accuracy over steps/ }).focus();
      await page.keyboard.press('End');
      const reading = page.locator('.reading li').filter({ hasText: 'lrn false' });
      expect(await reading.textContent()).toMatch(/lrn false\d\d\.\d\d% ±\d\.\d\d$/);
      await page.getByRole('combobox', { name: 'Show' }).selectOption('difference from lrn true');
      const differences = await tableBehind(page, 'test accuracy: difference from lrn true, points');
      expect(differences[0]).toEqual(['steps', 'lrn false']);
      expect(Number.parseFloat(differences.at(-1)![1]!.replace('+', ''))).toBeCloseTo(without! - withLrn!, 1);
    });
  });

  test('runs are found, sorted and selected, and a reload shows the same', async () => {
    await onGiven('runs', async (page) => {
      const names = () => page.locator('.run-table tbody th').allTextContents();
      await expect.poll(names).toHaveLength(12);
      await page.keyboard.press('/');
      await page.keyboard.type('lrn false');
      await expect.poll(names).toEqual(['tuto/9', 'tuto/6', 'tuto/3']);
      await page.getByRole('searchbox').fill('');
      await page.getByRole('button', { name: 'accuracy', exact: true }).click();
      await expect.poll(async () => (await names())[0]).toBe('squeeze1/1');
      await page.getByRole('button', { name: 'accuracy', exact: true }).click();
      await expect.poll(async () => (await names())[0]).not.toBe('squeeze1/1');
      await page.getByRole('button', { name: 'clear', exact: true }).click();
      await page.getByText('No run is selected').waitFor();
      await page.getByLabel('Show the curves of tuto/3').check();
      await page.getByLabel('Show the curves of tuto/1', { exact: true }).check();
      await page.getByLabel('Show the curves of tuto/3').uncheck();
      await expect.poll(async () => (await tableBehind(page, 'test accuracy'))[0]).toEqual(['steps', 'tuto/1']);
      const colour = () => page.evaluate<string>(`document.querySelector('tr[data-id="tuto/1"] .swatch').style.background`);
      // The second one chosen: its colour stays when the first is gone.
      expect(await colour()).toBe('rgb(217, 98, 15)');
      await page.reload();
      await expect.poll(async () => (await tableBehind(page, 'test accuracy'))[0]).toEqual(['steps', 'tuto/1']);
      expect(await colour()).toBe('rgb(217, 98, 15)');
    });
  });

  test('a run that diverged is folded away until it is asked for', async () => {
    await onGiven('runs?runs=0:nin0%252F1+1:tuto%252F1', async (page) => {
      expect((await tableBehind(page, 'test accuracy'))[0]).toEqual(['steps', 'tuto/1']);
      await page.getByRole('button', { name: '1 diverged' }).click();
      await expect.poll(async () => (await tableBehind(page, 'test accuracy'))[0]).toEqual(['steps', 'nin0/1', 'tuto/1']);
    });
  });

  test('everything can be reached and read from the keyboard', async () => {
    await onGiven('runs?runs=0:tuto%252F1', async (page) => {
      await tableBehind(page, 'test accuracy');
      await page.keyboard.press('Tab');
      await page.getByLabel('Show the curves of tuto/10').focus();
      await page.keyboard.press('ArrowDown');
      const focused = () => page.evaluate<string>("document.activeElement.closest('tr')?.dataset.id ?? ''");
      await expect.poll(focused).not.toBe('tuto/10');
      const next = await focused();
      await page.keyboard.press('Space');
      await page.getByLabel(`Show the curves of ${next}`).isChecked();
      const chart = page.getByRole('img', { name: /^test accuracy over steps/ });
      await chart.focus();
      await page.keyboard.press('End');
      await page.locator('.reading').getByText('200 steps').waitFor();
      await page.locator('.reading').getByText('tuto/1').waitFor();
      await page.keyboard.press('Escape');
      await page.locator('.reading').waitFor({ state: 'detached' });
    });
  });

  test('what a study says by now, and what is left of it', async () => {
    await onGiven('study/quick-start', async (page) => {
      await page.locator('.effects tbody tr').first().waitFor();
      const effects = await page.locator('.effects tbody tr').allTextContents();
      expect(effects).toHaveLength(2);
      expect(effects[0]).toContain('no augmentation');
      expect(effects[0]).toMatch(/\[.*, .*\]/);
      await page.getByText('7 of 9').waitFor();
      await page.getByText('ablate study studies/quick-start.yaml').waitFor();
      expect((await tableBehind(page, 'test accuracy'))[0]).toEqual(['steps', 'baseline', 'no augmentation', 'no LRN']);
      await page.getByRole('button', { name: 'baseline 3' }).click();
      const rows = await tableBehind(page, 'test accuracy: difference from baseline, points');
      expect(rows[0]).toEqual(['steps', 'no augmentation', 'no LRN']);
      expect(Number.parseFloat(rows.at(-1)![1]!.replace('+', ''))).toBeCloseTo(5, 0);
    });
  });

  test('a network as a graph and as a table, and filters at each checkpoint', async () => {
    await onGiven('run/squeeze1%2F1?tab=network', async (page) => {
      await page.locator('.layers tfoot').waitFor();
      const layers = await page.locator('.layers tbody tr').count();
      expect(await page.locator('.graph .layer').count()).toBe(layers + 1);
      expect(await page.locator('.layers tfoot').textContent()).toContain('147,540');
      await page.getByRole('button', { name: 'Time each layer' }).click();
      await page.getByText('A training step of 64 images').waitFor({ timeout: 60_000 });
      const times = await page.locator('.layers tbody td:last-child').allTextContents();
      const [conv] = times.map(Number);
      expect(conv).toBeGreaterThan(0);
      expect(Number(await page.locator('.layers tfoot td:last-child').textContent())).toBeGreaterThan(conv!);
      await page.getByRole('link', { name: 'Filters' }).click();
      const pictures = page.getByRole('img', { name: /filters of conv1 after/ });
      await expect.poll(() => pictures.count()).toBe(2);
      const isDrawn = () =>
        page.evaluate<boolean>(`(() => {
          const canvas = document.querySelector('.filters canvas');
          return new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size > 50;
        })()`);
      await expect.poll(isDrawn).toBe(true);
    });
  });

  test('a cell of the confusion matrix opens its pictures, and a picture what each layer makes of it', async () => {
    await onGiven('run/squeeze1%2F1?tab=mistakes', async (page) => {
      const [first, second] = synthetic.classes as [string, string];
      const pictures = page.locator('.gallery .picture');
      await expect.poll(() => pictures.count()).toBe(60);
      // The process that has the pictures starts now.
      const isLoaded = () => page.evaluate<boolean>("document.querySelector('.gallery img')?.naturalWidth === 32");
      await expect.poll(isLoaded, { timeout: 60_000 }).toBe(true);
      await page.getByRole('button', { name: 'more' }).click();
      await expect.poll(() => pictures.count()).toBe(120);
      await page
        .getByRole('button', { name: `${first} taken for ${second}:` })
        .first()
        .click();
      await page.getByRole('heading', { name: `${first} taken for ${second}, the surest first` }).waitFor();
      // Every seventh image, of ten classes in turn.
      const expected = synthetic.test.labels.filter((label, image) => image % 7 === 0 && label === 0).length;
      await expect.poll(() => pictures.count()).toBe(expected);
      await pictures.first().click();
      await page.getByRole('heading', { name: 'conv1 conv' }).waitFor({ timeout: 60_000 });
      expect(await page.locator('.maps').count()).toBeGreaterThan(5);
      expect(await page.locator('.said li').count()).toBe(5);
    });
  });

  describe('live', () => {
    test('records are drawn as they are written, half a line waits, and new runs appear', async () => {
      const path = recordRun(runs, { number: 1, share: 0.5, status: { status: 'running', ...thisProcess() } });
      await onRuns('runs?runs=0:tuto%252F1+1:tuto%252F2&metrics=train/loss', async (page) => {
        const lastOf = async () => (await tableBehind(page, 'training loss')).at(-1)!;
        await expect.poll(lastOf).toMatchObject(['500', expect.any(String)]);
        const metrics = join(path, 'metrics.jsonl');
        appendFileSync(metrics, metricsLine(600, { 'train/loss': 0.5 }) + metricsLine(700, { 'train/loss': 0.25 }).slice(0, 20));
        await expect.poll(lastOf, { timeout: 10_000 }).toEqual(['600', '0.5']);
        appendFileSync(metrics, metricsLine(700, { 'train/loss': 0.25 }).slice(20));
        await expect.poll(lastOf, { timeout: 10_000 }).toEqual(['700', '0.25']);
        recordRun(runs, { number: 2 });
        await expect
          .poll(async () => (await tableBehind(page, 'training loss'))[0], { timeout: 10_000 })
          .toEqual(['steps', 'tuto/1', 'tuto/2']);
        rmSync(join(runs, 'tuto', '2'), { recursive: true });
        await expect.poll(() => page.locator('.run-table tbody th').allTextContents(), { timeout: 10_000 }).toEqual(['tuto/1']);
      });
    });

    test('of lines that grow only the new part is drawn, and it looks as if all had been drawn at once', async () => {
      // The first keeps the axes as they are; the others have so many points that they have bands, and one has dashes.
      recordRun(runs, { number: 1, overrides: { steps: 30_000 }, records: 3000 });
      const growing = [2, 3].map((number) =>
        recordRun(runs, {
          ...{ number, overrides: { steps: 30_000 }, records: 3000, share: 0.5 },
          status: { status: 'running', ...thisProcess() },
        }),
      );
      const place = 'runs?runs=0:tuto%252F1+1:tuto%252F2+12:tuto%252F3&metrics=train/loss';
      await onRuns(place, async (page) => {
        await page.evaluate(`(() => {
          window.drawnFrom = [];
          const clearRect = CanvasRenderingContext2D.prototype.clearRect;
          CanvasRenderingContext2D.prototype.clearRect = function (left, ...rest) {
            if (this.canvas.className === 'curve-layer') drawnFrom.push(left / this.canvas.width);
            return clearRect.call(this, left, ...rest);
          };
        })()`);
        const lastOf = async () => (await tableBehind(page, 'training loss')).at(-1)!;
        await expect.poll(async () => (await lastOf()).filter((each) => each !== '–')).toHaveLength(2);
        const rowsOfThird = async () => (await tableBehind(page, 'training loss')).filter((row) => row.at(-1) !== '–').length;
        await expect.poll(rowsOfThird).toBeGreaterThan(1);
        const drawn = () => page.evaluate<number>('drawnFrom.length');
        // All that was there from the beginning is drawn, which takes a busy machine a while: it looks for more once a second.
        const drawnMeanwhile = async () => {
          const before = await drawn();
          await page.waitForTimeout(2500);
          return (await drawn()) - before;
        };
        await expect.poll(drawnMeanwhile, { timeout: 20_000 }).toBe(0);
        const drawnBefore = await drawn();
        for (let step = 16_000; step <= 20_000; step += 1000) {
          const before = await drawn();
          for (const [level, path] of growing.entries()) {
            const lines = Array.from({ length: 100 }, (_, i) =>
              metricsLine(step + 10 * i, { 'train/loss': 1 + 0.4 * level + 0.3 * Math.sin((step + 10 * i) / 1000) }),
            );
            appendFileSync(join(path, 'metrics.jsonl'), lines.join(''));
          }
          // Where no processor is free, a page is drawn seldom.
          await expect.poll(drawn).toBeGreaterThan(before);
        }
        await expect.poll(rowsOfThird).toBe(12);
        // The table has the last rows of one run before the last points of all are drawn.
        await expect.poll(drawnMeanwhile, { timeout: 20_000 }).toBe(0);
        const drawnFrom = await page.evaluate<number[]>('drawnFrom');
        expect(drawnFrom.length - drawnBefore).toBeGreaterThanOrEqual(5);
        for (const part of drawnFrom.slice(drawnBefore)) expect(part).toBeGreaterThan(0.45);
        const opacities = () =>
          page.evaluate<number[]>(`(() => {
            const canvas = document.querySelector('.chart canvas.curve-layer');
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return [...data.filter((_, i) => i % 4 === 3)];
          })()`);
        const grown = await opacities();
        await page.reload();
        await expect.poll(rowsOfThird).toBe(12);
        await settled({ page, pending: new Set() });
        // Chromium smooths the edges of a long path and of its parts differently; a part that is missing or drawn twice differs by more.
        const whole = await opacities();
        expect(whole.filter((each) => each > 200).length).toBeGreaterThan(1000);
        expect(whole.filter((each, i) => Math.abs(each - grown[i]!) > 100)).toEqual([]);
      });
    });

    test('a run that is deleted is gone from its own page and from the table, without an error', async () => {
      const running = { status: 'running', ...thisProcess() };
      for (const number of [1, 2, 3]) recordRun(runs, { number, share: 0.5, status: running });
      const remove = (number: number) => rmSync(join(runs, 'tuto', String(number)), { recursive: true });
      await onRuns('run/tuto%2F1', async (page) => {
        await tableBehind(page, 'loss');
        remove(1);
        await page.getByText('There is no run tuto/1 in this folder').waitFor();
        await page.goto(page.url().replace('tuto%2F1', 'tuto%2F2?tab=record'));
        await page.getByText('The command that trains the same').waitFor();
        remove(2);
        await page.getByText('There is no run tuto/2 in this folder').waitFor();
        await page.getByRole('link', { name: 'All runs' }).click();
        await expect.poll(() => page.locator('.run-table tbody th').allTextContents()).toEqual(['tuto/3']);
        remove(3);
        await page.getByText('No runs yet').waitFor();
      });
    });

    test('a training that is killed is interrupted, and one that is resumed loses what it does again', async () => {
      const child = spawn('sleep', ['60']);
      const status = { status: 'running', ...thisProcess(), pid: child.pid, startTicks: undefined };
      const path = recordRun(runs, { number: 1, share: 0.5, status });
      await onRuns('run/tuto%2F1', async (page) => {
        await page.locator('.title .state.running').waitFor();
        child.kill('SIGKILL');
        await page.locator('.title .state.interrupted').waitFor();
        await page.getByText(`process ${child.pid} is gone`).waitFor();
        const lastOf = async () => (await tableBehind(page, 'loss')).at(-1)!;
        await expect.poll(async () => (await lastOf())[0]).toBe('500');
        const status = JSON.parse(readFileSync(join(path, 'status.json'), 'utf8')) as object;
        writeFileSync(join(path, 'status.json'), JSON.stringify({ ...status, ...thisProcess(), status: 'running' }));
        await page.locator('.title .state.running').waitFor();
        rmSync(join(path, 'metrics.jsonl'));
        writeFileSync(join(path, 'metrics.jsonl'), metricsLine(100, { 'train/loss': 2 }));
        await expect.poll(async () => (await lastOf())[0], { timeout: 10_000 }).toBe('100');
      });
    });

    test('a run is stopped from the page that was opened with the token, which does not stay in the address', async () => {
      const child = spawn('sleep', ['60']);
      const ended = new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)));
      const status = { status: 'running', ...thisProcess(), pid: child.pid, startTicks: undefined };
      const path = recordRun(runs, { number: 1, share: 0.5, status });
      mkdirSync(join(path, 'lock'));
      writeFileSync(join(path, 'lock', `held.${child.pid}..token.${thisProcess().host}`), '');
      const token = 'f00d'.repeat(8);
      await onRuns(
        `run/tuto%2F1?token=${token}`,
        async (page) => {
          await page.getByRole('button', { name: 'Stop', exact: true }).click();
          expect(page.url()).not.toContain(token);
          expect(child.exitCode ?? child.signalCode).toBeNull();
          await page.getByRole('button', { name: 'Stop tuto/1' }).click();
          expect(await ended).toBe('SIGTERM');
          await page.locator('.title .state.interrupted').waitFor();
          expect(await page.getByRole('button', { name: 'Stop' }).count()).toBe(0);
        },
        token,
      );
    });

    test('a server that is gone is told, and one that is there again is followed', async () => {
      recordRun(runs, { number: 1 });
      const first = await startUi({ runsFolder: runs, port: 0, clientFolder });
      const port = Number(new URL(first.url).port);
      const page = await browser.newPage();
      try {
        await page.goto(first.url);
        await page.getByText('live', { exact: true }).waitFor();
        await first.close();
        await page.getByText('connection lost').waitFor();
        recordRun(runs, { number: 2 });
        const second = await startUi({ runsFolder: runs, port, clientFolder });
        await page.getByText('live', { exact: true }).waitFor({ timeout: 15_000 });
        await page.getByRole('link', { name: 'tuto/2' }).waitFor();
        await second.close();
      } finally {
        await page.close();
      }
    });
  });

  test('names that are markup are shown as they are written', async () => {
    const model = '<img src=x onerror=alert(1)>\n<b>';
    const path = recordRun(runs, { number: 1 });
    const hostile = join(runs, model, '1');
    mkdirSync(join(runs, model));
    cpSync(path, hostile, { recursive: true });
    const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as object;
    const markup = '"><script>alert(2)</script>';
    writeFileSync(
      join(hostile, 'config.json'),
      JSON.stringify({ ...config, model, dataset: markup, recipe: markup, [markup]: markup }),
    );
    appendFileSync(join(hostile, 'metrics.jsonl'), metricsLine(2000, { [markup]: 1, __proto__: 1, 'train/loss': 1 }));
    // What would lead out of the folder, were it decoded once too often.
    const outwards = 'a%2f..%2f..%2e%00';
    cpSync(path, join(runs, outwards, '1'), { recursive: true });
    await onRuns('runs?runs=0:%25zz', async (page) => {
      await page.getByRole('link', { name: outwards }).click();
      await page.getByRole('heading', { level: 1 }).getByText(`${outwards}/1`, { exact: true }).waitFor();
      await tableBehind(page, 'loss');
      await page.getByRole('link', { name: 'Runs', exact: true }).first().click();
      await page.getByRole('link', { name: model.split('\n')[0]! }).click();
      await page.getByRole('heading', { level: 1 }).getByText('<img src=x').waitFor();
      await page.getByRole('link', { name: 'Record' }).click();
      await page.getByText(markup).first().waitFor();
      expect(await page.locator('main img, main script').count()).toBe(0);
    });
  });

  test('a thousand runs are listed, of which the page holds those in view', async () => {
    const path = recordRun(runs, { number: 1, records: 5, evaluations: 2 });
    const files = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isFile());
    for (let number = 2; number <= 1000; number++) {
      const copy = join(runs, 'tuto', String(number));
      mkdirSync(copy);
      for (const { name } of files) linkSync(join(path, name), join(copy, name));
    }
    await onRuns('runs?sort=run', async (page) => {
      await page.getByText('1000 runs, 6 selected').waitFor();
      expect(await page.locator('.run-table tbody tr').count()).toBeLessThan(100);
      await page.getByLabel('Show the curves of tuto/1', { exact: true }).focus();
      await page.keyboard.press('End');
      await page.getByRole('link', { name: 'tuto/1000' }).waitFor();
      await expect.poll(() => page.evaluate<string>("document.activeElement.closest('tr')?.dataset.id ?? ''")).toBe('tuto/1000');
    });
  });
});
