/**
 * The live page with many runs: how soon it is there, how often it draws what is written, what it takes from a training beside it, and whether the
 * memory of server and page stays flat.
 *
 *     npm run build && npx tsx bench/live-page.ts [--runs 1000] [--points 10000] [--live 20] [--seconds 30] [--rounds 3]
 *                                  [--memory-seconds 180] [--model alex2] [--threads 1,2] [--out docs/results/live-page.json]
 *
 * Opening: from the navigation to the first curve drawn, with a server that has just been started (`cold`) and again (`warm`). Following: frames in
 * which the chart that grows was drawn, while each live run writes ten records a second. Training: the median time of a step without and with a page that
 * follows, in turn, for each number of the training's threads, and the frames of the page beside it. Memory: the live runs write as many records as in an
 * hour at one a second, in the time given.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { chromium, type Page } from 'playwright-core';
import { generateSynthetic } from '../src/data/synthetic.ts';
import { createOnednnEngine } from '../src/engine/onednn/engine.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { resolveConfig } from '../src/train/config.ts';
import { train } from '../src/train/train.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { percentile } from '../src/util/percentile.ts';
import { thisProcess } from '../src/util/process-identity.ts';
import { browserFlags, browserPath } from '../test/browser.ts';
import { recordRun } from '../test/recorded-runs.ts';

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000' },
    points: { type: 'string', default: '10000' },
    live: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '30' },
    rounds: { type: 'string', default: '3' },
    'memory-seconds': { type: 'string', default: '180' },
    model: { type: 'string', default: 'alex2' },
    threads: { type: 'string', default: '1,2' },
    out: { type: 'string', default: 'docs/results/live-page.json' },
  },
});
const [runs, points, live, seconds, rounds, memorySeconds] = (
  ['runs', 'points', 'live', 'seconds', 'rounds', 'memory-seconds'] as const
).map((key) => Number(options[key])) as [number, number, number, number, number, number];
const threadCounts = options.threads.split(',').map(Number);
if (browserPath === undefined) throw new Error('there is no Chromium (Debian: apt-get install chromium)');
const root = mkdtempSync(join(tmpdir(), 'ablate-live-page-'));
/** Steps between two records. */
const recordEvery = 10;
const steps = recordEvery * points;

/** Distinct records: the others are links to them, or the disk would be full of the same. */
const distinct = 20;

function recordAll(): void {
  const overrides = (seed: number) => ({ steps, seed, learningRate: seed % 3 === 0 ? 0.1 : 0.05 });
  for (let number = 1; number <= runs; number++) {
    const isOwn = number <= distinct || number > runs - live;
    const isLive = number > runs - live;
    const path = recordRun(root, {
      number,
      overrides: overrides(number),
      records: isOwn ? points : 1,
      evaluations: isOwn ? 50 : 1,
      ...(isLive && { share: 0.5, status: { status: 'running', ...thisProcess() } }),
    });
    if (isOwn) continue;
    const metrics = join(path, 'metrics.jsonl');
    rmSync(metrics);
    linkSync(join(root, 'tuto', String((number % distinct) + 1), 'metrics.jsonl'), metrics);
  }
}

const liveNumbers = Array.from({ length: live }, (_, i) => runs - i);
const metricsOf = (number: number) => join(root, 'tuto', String(number), 'metrics.jsonl');
/** All live runs selected. */
const place = `#/runs?runs=${liveNumbers.map((number, slot) => `${slot}:tuto%252F${number}`).join('+')}`;

interface Server {
  readonly process: ChildProcess;
  readonly url: string;
  readonly startMs: number;
}

async function startServer(): Promise<Server> {
  const began = performance.now();
  const child = spawn(process.execPath, ['bin/ablate.js', 'ui', root, '--port', '0'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { process: child, url: line.toString().trim(), startMs: performance.now() - began };
}

async function stopServer({ process: child }: Server): Promise<void> {
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** Counts the frames in which the chart that grows is drawn, from the beginning of the page on. */
const countDrawings = `
  window.drawings = [];
  const clearRect = CanvasRenderingContext2D.prototype.clearRect;
  CanvasRenderingContext2D.prototype.clearRect = function (...args) {
    if (this.canvas.matches('[aria-label="training loss"] .curve-layer')) window.drawings.push(performance.now());
    return clearRect.apply(this, args);
  };
  const stroke = CanvasRenderingContext2D.prototype.stroke;
  CanvasRenderingContext2D.prototype.stroke = function (...args) {
    // Axes have one colour; a curve has been drawn.
    if (this.lineWidth > 1.2 * devicePixelRatio) window.firstCurve ??= performance.now();
    return stroke.apply(this, args);
  };
`;

async function openingMs(page: Page, url: string): Promise<number> {
  await page.goto('about:blank');
  await page.goto(url);
  for (;;) {
    const drawn = await page.evaluate<number | null>('window.firstCurve ?? null');
    if (drawn !== null) return drawn;
    await delay(20);
  }
}

/** Half of each live run is recorded beforehand; this writes on. @returns how to set its records a second, 0 for none, and how to end it */
function startWriter() {
  const numbers = [steps / 2 + recordEvery, recordEvery].map(String);
  const writer = fork(new URL('live-page-writer.ts', import.meta.url), [...numbers, ...liveNumbers.map(metricsOf)]);
  return {
    write(recordsPerSecond: number): void {
      writer.send(recordsPerSecond);
    },
    end(): void {
      writer.kill();
    },
  };
}

async function framesPerSecond(page: Page, afterMs = 0): Promise<number> {
  await delay(afterMs);
  const before = await page.evaluate<number>('window.drawings.length');
  await delay(1000 * seconds);
  const after = await page.evaluate<number>('window.drawings.length');
  return (after - before) / seconds;
}

/** Within this time, a page has noticed that processors are busy, and follows at the pace that it then has. */
const settlingMs = 5000;

/** Median milliseconds from one step's end to the next, in the time given, once the page has settled. */
async function stepMs(threads: number, forMs: number): Promise<number> {
  const config = resolveConfig({
    model: options.model,
    dataset: 'synthetic',
    steps: 100_000,
    threads,
    evalEvery: 0,
    saveEvery: 0,
  });
  const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-live-page-training-'));
  const controller = new AbortController();
  const times: number[] = [];
  const began = performance.now();
  let before = began;
  await train({
    config,
    engine: createOnednnEngine({ threads }),
    dataset: generateSynthetic(),
    record: { runsFolder },
    signal: controller.signal,
    hooks: {
      onStep: () => {
        const now = performance.now();
        if (now - began > settlingMs) times.push(now - before);
        before = now;
        if (now - began > settlingMs + forMs) controller.abort();
      },
    },
  });
  rmSync(runsFolder, { recursive: true });
  return percentile(times, 0.5);
}

function residentMegabytes({ process: child }: Server): number {
  const status = readFileSync(`/proc/${child.pid!}/status`, 'utf8');
  return Math.round(Number(/^VmRSS:\s*(\d+)/m.exec(status)![1]) / 1000);
}

async function heapMegabytes(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return Math.round(usedSize / 1e5) / 10;
}

async function measure() {
  recordAll();
  const browser = await chromium.launch({
    executablePath: browserPath!,
    args: [...browserFlags, '--enable-precise-memory-info'],
  });
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.addInitScript(countDrawings);
  const opening: { startMs: number; coldMs: number; warmMs: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const server = await startServer();
    const coldMs = await openingMs(page, server.url);
    opening.push({ startMs: server.startMs, coldMs, warmMs: await openingMs(page, server.url) });
    await stopServer(server);
  }
  console.log({ opening });

  const server = await startServer();
  const writer = startWriter();
  await openingMs(page, `${server.url}${place}`);
  // All of their curves are there by then.
  await delay(10_000);
  writer.write(10);
  const framesAlone = await framesPerSecond(page);
  console.log({ framesAlone });

  const training: { threads: number; aloneMs: number; followedMs: number; framesPerSecond: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const threads of threadCounts) {
      const [followedMs, frames] = await Promise.all([stepMs(threads, 1000 * seconds), framesPerSecond(page, settlingMs)]);
      // A page that nobody looks at holds no connection: then nothing is read.
      await page.goto('about:blank');
      const aloneMs = await stepMs(threads, 1000 * seconds);
      await openingMs(page, `${server.url}${place}`);
      training.push({ threads, aloneMs, followedMs, framesPerSecond: frames });
    }
  }
  writer.write(0);
  console.log({ training });

  writer.write(3600 / memorySeconds);
  const memory: { second: number; serverMegabytes: number; pageMegabytes: number }[] = [];
  for (let second = 0; second <= memorySeconds; second += Math.max(1, memorySeconds / 12)) {
    memory.push({ second, serverMegabytes: residentMegabytes(server), pageMegabytes: await heapMegabytes(page) });
    await delay((1000 * memorySeconds) / 12);
  }
  writer.end();
  console.log({ memory });
  await stopServer(server);
  await browser.close();
  return { opening, framesPerSecond: framesAlone, training, memory };
}

try {
  const settings = { runs, points, live, seconds, rounds, memorySeconds, model: options.model };
  const result = { environment: describeEnvironment({ threads: Math.max(...threadCounts) }), settings, ...(await measure()) };
  writeFileAtomic(options.out, `${JSON.stringify(result, undefined, 2)}\n`);
} finally {
  rmSync(root, { recursive: true, force: true });
}
