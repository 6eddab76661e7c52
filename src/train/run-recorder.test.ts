import { closeSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { describeEnvironment } from '../runs/environment.ts';
import { createRun } from '../runs/run-folder.ts';
import { readStatus } from '../runs/run-status.ts';
import { resolveConfig } from './config.ts';
import { openRecorder } from './run-recorder.ts';
import { skippable } from '../../test/skippable.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-recorder-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));

const whyNotLinux = process.platform === 'linux' ? undefined : 'needs /dev/full of Linux';

test.skipIf(whyNotLinux)(
  skippable('how a run ended is recorded even if its files cannot be written, and once', whyNotLinux),
  () => {
    const config = resolveConfig({ model: 'tuto', threads: 1 });
    const run = createRun(runsFolder, 'tuto', config, describeEnvironment({ threads: 1, libraries: {} }));
    const recorder = openRecorder(run, config, {});
    // Writing to it now fails, as on a full disk.
    closeSync(descriptorOf(join(run.path, 'events.out.tfevents')));
    expect(() => recorder.end('failed', 3, 'why')).toThrow(/events\.out\.tfevents|EBADF/);
    expect(readStatus(run)).toMatchObject({ status: 'failed', step: 3, reason: 'why' });
    recorder.end('finished', 4);
    expect(readStatus(run)).toMatchObject({ status: 'failed', step: 3 });
  },
);

function descriptorOf(path: string): number {
  const open = readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(path);
    } catch {
      return false; // That of the listing itself.
    }
  });
  expect(open).toHaveLength(1);
  return Number(open[0]);
}
