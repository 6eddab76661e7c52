import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { compiledFolder } from '../../test/compile-sources.ts';
import { latestCheckpoint, listCheckpoints, loadCheckpoint } from './checkpoint.ts';
import { describeEnvironment } from './environment.ts';
import { checkpointsFolder, createRun } from './run-folder.ts';
import { lockRun } from './run-lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-checkpoint-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('killed at any moment, a process leaves only whole checkpoints', async () => {
  const run = createRun(folder, 'tuto', { steps: 100 }, describeEnvironment({ threads: 2 }));
  const script = join(folder, 'save.mjs');
  writeFileSync(
    script,
    `import { saveCheckpoint } from '${compiledFolder}/runs/checkpoint.js';
     const run = ${JSON.stringify(run)};
     console.log('ready');
     for (let step = Number(process.argv[2]); ; step++) {
       const data = new Float32Array(300_000).fill(step);
       saveCheckpoint(run, { step, tensors: new Map([['w', { shape: [300_000], data }]]), metadata: {} }, { keep: 3 });
     }`,
  );
  let step = 1;
  let interrupted = 0;
  for (let kill = 0; kill < 20; kill++) {
    const child = spawn(process.execPath, [script, String(step)], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    await sleep(Math.random() * 60);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    for (const file of listCheckpoints(run)) {
      const { step: loaded, tensors } = loadCheckpoint(file.path);
      expect(loaded).toBe(file.step);
      expect(tensors.get('w')!.data.every((value) => value === file.step)).toBe(true);
    }
    if (readdirSync(checkpointsFolder(run)).some((name) => name.endsWith('.tmp'))) interrupted++;
    lockRun(run).release();
    expect(readdirSync(checkpointsFolder(run)).some((name) => name.endsWith('.tmp'))).toBe(false);
    step = (latestCheckpoint(run)?.step ?? 0) + 1;
  }
  // Else no kill fell into a save, and the test has shown nothing.
  expect(interrupted).toBeGreaterThan(0);
  expect(step).toBeGreaterThan(1);
  expect(statSync(latestCheckpoint(run)!.path).size).toBeGreaterThan(1_200_000);
}, 300_000);
