/** One training on two hosts with their own addresses; the cable between them is cut, and a restart completes it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { latestCheckpoint } from '../../src/runs/checkpoint.ts';
import { openRun } from '../../src/runs/run-folder.ts';
import { makeHosts, whyNoHosts, type Hosts } from './hosts.ts';
import { writeNoiseImages } from '../noise-images.ts';
import { openMpi, startJob, whyNoOpenMpi, type MpiLauncher } from './launch.ts';
import { skippable } from '../skippable.ts';

const whyNot = whyNoOpenMpi ?? whyNoHosts();

describe.skipIf(whyNot)(skippable('on two hosts', whyNot), () => {
  let folder = '';
  let hosts: Hosts;
  let launcher: MpiLauncher;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ablate-hosts-'));
    writeNoiseImages(join(folder, 'images'), { train: 24 });
    hosts = makeHosts(folder);
    const { environment, command } = openMpi!;
    launcher = {
      name: 'Open MPI on two hosts',
      // ABLATE_MPI_TIMEOUT goes to the other host too.
      command: (processes) => [...hosts.onFirst, ...command(processes), ...hosts.mpirun, '-x', 'ABLATE_MPI_TIMEOUT'],
      environment: { ...environment, ABLATE_MPI_TIMEOUT: '15' },
    };
  });
  afterAll(() => {
    hosts.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const train = ['--data', 'images:images', '--batch-size', '16', '--threads', '1', '--learning-rate', '0.02', '--json'];
  const model = ['train', 'cs231n', ...train, '--set', 'conv1.filters=16', '--set', 'dense1.features=16'];

  test('a training whose cable is cut ends with an error, and finishes after it', async () => {
    let cutAt = 0;
    const run = join(folder, 'cut', 'cs231n', '1');
    const cut = await startJob(
      launcher,
      2,
      [...model, '--steps', '1000000', '--save-every', '2', '--log-every', '1', '--runs-dir', 'cut'],
      {
        cwd: folder,
        onStderr: (text) => {
          if (cutAt > 0 || !/^step [1-9]\d*\//m.test(text) || latestCheckpoint(openRun(run)) === undefined) return;
          cutAt = performance.now();
          hosts.cut();
        },
      },
    ).finished;
    expect(cutAt).toBeGreaterThan(0);
    expect(cut.code).not.toBe(0);
    expect((performance.now() - cutAt) / 1000).toBeLessThan(90);

    hosts.mend();
    const { step } = latestCheckpoint(openRun(run))!;
    const resume = ['train', '--resume', 'cs231n/1', '--steps', String(step + 2), '--runs-dir', 'cut', '--json'];
    const resumed = await startJob(launcher, 2, resume, { cwd: folder }).finished;
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(JSON.parse(resumed.stdout)).toMatchObject({ status: 'finished', step: step + 2 });
  });
});
