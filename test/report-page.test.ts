/** The HTML report in a real browser, light and dark: it asks for nothing, its texts are legible and do not cover each other. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WrittenReport } from '../src/report/report-files.ts';
import { writeReport } from '../src/report/write-report.ts';
import { environmentVariable } from '../src/util/env.ts';
import { browserFlags, browserPath, whyNoBrowser } from './browser.ts';
import { sampleReport } from './report-data.ts';
import { skippable } from './skippable.ts';

if (browserPath === undefined) {
  process.stderr.write('The report is not looked at: there is no Chromium (Debian: apt-get install chromium)\n');
}
const folder = mkdtempSync(join(tmpdir(), 'ablate-report-'));
let report: WrittenReport;
let browser: Browser | undefined;

beforeAll(async () => {
  report = await writeReport(sampleReport(), join(folder, 'report'));
  if (browserPath !== undefined) browser = await chromium.launch({ executablePath: browserPath, args: browserFlags });
});
afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

test('the folder has the report in every form, each figure with its specification', () => {
  expect(readdirSync(report.folder).sort()).toEqual([
    'effects.csv',
    'figures',
    'index.html',
    'report.json',
    'report.md',
    'runs.csv',
  ]);
  const figures = readdirSync(join(report.folder, 'figures'));
  for (const name of ['effects', 'curves', 'training-loss', 'efficiency', 'confusion-1', 'confusion-10']) {
    expect(figures).toContain(`${name}.svg`);
    const spec = JSON.parse(readFileSync(join(report.folder, 'figures', `${name}.vl.json`), 'utf8')) as object;
    expect(spec).toHaveProperty('$schema', 'https://vega.github.io/schema/vega-lite/v5.json');
  }
  const markdown = readFileSync(report.markdown, 'utf8');
  for (const [, path] of markdown.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)) expect(existsSync(join(report.folder, path!))).toBe(true);
});

test('a report written again leaves no figure of the one before, and all that is not its own', async () => {
  const again = join(folder, 'again');
  await writeReport(sampleReport(), again);
  writeFileSync(join(again, 'figures', 'mine.svg'), '<svg/>');
  const data = sampleReport(1);
  await writeReport({ ...data, variants: data.variants.slice(0, 2) }, again);
  expect(readdirSync(join(again, 'figures')).filter((name) => name.startsWith('confusion'))).toHaveLength(4);
  expect(existsSync(join(again, 'figures', 'mine.svg'))).toBe(true);
});

interface Problems {
  readonly overlapping: readonly string[];
  readonly faint: readonly string[];
  readonly cut: readonly string[];
}

/** Runs in the page. */
const findProblems = readFileSync(new URL('./page-problems.js', import.meta.url), 'utf8');

describe.skipIf(whyNoBrowser)(skippable('in Chromium', whyNoBrowser), () => {
  async function open(
    colorScheme: 'light' | 'dark',
    width = 1100,
  ): Promise<{ page: Page; requested: string[]; failures: string[] }> {
    const page = await browser!.newPage({ colorScheme, viewport: { width, height: 900 } });
    const requested: string[] = [];
    const failures: string[] = [];
    page.on('request', (request) => requested.push(request.url()));
    page.on('pageerror', (error) => failures.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') failures.push(message.text());
    });
    await page.goto(pathToFileURL(report.html).href);
    return { page, requested, failures };
  }

  test.each(['light', 'dark'] as const)('%s: asks for nothing else, no text covers another, all can be read', async (scheme) => {
    const { page, requested, failures } = await open(scheme);
    const { overlapping, faint, cut } = await page.evaluate<Problems>(findProblems);
    expect({ requested, failures }).toEqual({ requested: [pathToFileURL(report.html).href], failures: [] });
    expect({ overlapping, faint, cut }).toEqual({ overlapping: [], faint: [], cut: [] });
    const ground = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    expect(ground).toBe(scheme === 'light' ? 'rgb(253, 253, 252)' : 'rgb(25, 25, 24)');
    const picture = environmentVariable('ABLATE_REPORT_SCREENSHOTS');
    if (picture !== undefined) await page.screenshot({ path: join(picture, `report-${scheme}.png`), fullPage: true });
    await page.close();
  });

  test('on a telephone neither the page nor a figure scrolls sideways, and names stay in view beside the numbers', async () => {
    const { page } = await open('light', 390);
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
    const excess = await page.evaluate<number[]>(
      "[...document.querySelectorAll('figure')].filter((f) => f.checkVisibility()).map((f) => f.scrollWidth - f.clientWidth)",
    );
    expect(excess.length).toBeGreaterThanOrEqual(5);
    // Of a figure of several columns, the drawing with one.
    const shown = await page.evaluate<string[]>(
      "[...document.querySelectorAll('svg.wide, svg.narrow')].filter((s) => s.checkVisibility()).map((s) => s.getAttribute('class'))",
    );
    expect(new Set(shown)).toEqual(new Set(['narrow']));
    expect(excess.filter((pixels) => pixels > 0)).toEqual([]);
    const { scrolled, left } = await page.evaluate<{ scrolled: number; left: number }>(`
      const table = document.querySelector('.table');
      table.scrollLeft = table.scrollWidth;
      const edge = (element) => element.getBoundingClientRect().left;
      ({ scrolled: table.scrollLeft, left: edge(table.querySelector('td')) - edge(table) });
    `);
    expect(scrolled).toBeGreaterThan(0);
    expect(left).toBe(0);
    await page.close();
  });

  test('names are shown as written, whatever is in them', async () => {
    const { page } = await open('light');
    expect(await page.getByRole('cell', { name: 'squeeze1 & <co>', exact: true }).count()).toBeGreaterThan(0);
    expect(await page.locator('co').count()).toBe(0);
    await page.close();
  });
});
