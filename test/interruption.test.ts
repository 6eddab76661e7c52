/** Training that is killed at any moment loses at most the steps since its last checkpoint, and continues as if nothing had happened. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { latestCheckpoint } from '../src/runs/checkpoint.ts';
import { openRun, type Run } from '../src/runs/run-folder.ts';
import { makeFirstFixtures } from './hostile/fixtures.ts';
import { killAndResume } from './killing/kill.ts';
import { works } from './killing/work.ts';
import { writeNoiseImages } from './noise-images.ts';
import { main, runCli } from './run-cli.ts';

const common = [
  ...['train', 'tuto', '--data', 'images:images', '--batch-size', '16', '--threads', '2', '--eval-every', '0'],
  ...['conv1.filters=32', 'conv2.filters=32', 'dense1.features=64', 'dense2.features=32'].flatMap((set) => ['--set', set]),
];
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-interruption-'));
  writeNoiseImages(join(folder, 'images'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function finish(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCli(args, { cwd: folder, ownProcess: true });
  expect(code, stderr).toBe(0);
}

/** Starts a training and kills it as the kernel would, once `ready` says so. Fails if the training ended by itself. */
async function killWhen(args: readonly string[], ready: () => Promise<void>): Promise<void> {
  const child = spawn(process.execPath, [main, ...args], { cwd: folder, stdio: 'ignore' });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once('exit', (_, signal) => resolve(signal)));
  await Promise.race([ready(), ended]);
  child.kill('SIGKILL');
  expect(await ended, 'the training ended before it was killed').toBe('SIGKILL');
}

async function untilStep(run: string, step: number): Promise<void> {
  for (;;) {
    await sleep(20);
    if ((latestOf(run)?.step ?? 0) >= step) return;
  }
}

function latestOf(run: string) {
  const opened = tryOpen(run);
  return opened && latestCheckpoint(opened);
}

function tryOpen(run: string): Run | undefined {
  try {
    return openRun(join(folder, run));
  } catch {
    return undefined; // Not there yet.
  }
}

function finalCheckpoint(run: string, step: number): Buffer {
  const checkpoint = latestOf(run);
  expect(checkpoint?.step).toBe(step);
  return readFileSync(checkpoint!.path);
}

test('100 steps straight, the same again, and 25 steps or more, kill -9 and resume end in the same bytes', async () => {
  const args = [...common, '--steps', '100', '--save-every', '25'];
  await finish(...args, '--runs-dir', 'straight');
  await finish(...args, '--runs-dir', 'again');
  await killWhen([...args, '--runs-dir', 'killed'], () => untilStep('killed/tuto/1', 25));
  await finish('train', '--resume', 'tuto/1', '--runs-dir', 'killed');
  const straight = finalCheckpoint('straight/tuto/1', 100);
  expect(finalCheckpoint('again/tuto/1', 100).equals(straight)).toBe(true);
  expect(finalCheckpoint('killed/tuto/1', 100).equals(straight)).toBe(true);
}, 300_000);

describe('killed at random moments and resumed, nothing is lost, and the end is that of the same work without a kill', () => {
  let made: ReturnType<typeof works>;
  beforeAll(async () => {
    mkdirSync(join(folder, 'fixtures'));
    made = works(await makeFirstFixtures(join(folder, 'fixtures')));
  });
  // Studies are killed in study.test.ts.
  for (const [name, kills] of [
    ['training', 5],
    ['pruning', 2],
    ['compression', 2],
  ] as const) {
    test(`${kills} kills of ${name}`, async () => {
      const tally = await killAndResume({ work: made[name], kills, folder: join(folder, name), entry: [main], seed: 2 });
      expect(tally).toEqual({ work: name, kills, ended: expect.any(Number) as number, problems: [] });
      expect(tally.ended).toBeGreaterThan(0);
    }, 300_000);
  }
});
