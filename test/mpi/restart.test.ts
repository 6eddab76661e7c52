/** scripts/mpirun-restart.sh, with a command in place of mpirun that fails as often as it is told. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/mpirun-restart.sh', import.meta.url));
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-restart-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Attempt n ends with codes[n], after making the run's folder with `status`; each notes its arguments. */
function restart(restarts: number, codes: readonly number[], status = 'running') {
  const stand = join(folder, 'stand-in.sh');
  writeFileSync(
    stand,
    `mkdir -p run; echo '{}' > run/config.json; echo '  "status": "${status}",' > run/status.json\n` +
      `echo "$*" >> calls; codes=(${codes.join(' ')}); exit "\${codes[$(($(wc -l < calls) - 1))]}"\n`,
  );
  const command = [String(restarts), 'run', '--', 'bash', stand, '-np', '2', 'ablate', 'train', 'tuto', '--steps', '5'];
  const { status: code, stderr } = spawnSync('bash', [script, ...command], {
    cwd: folder,
    env: { ...process.env, RESTART_DELAY: '0' },
    encoding: 'utf8',
  });
  return { code, stderr, calls: readFileSync(join(folder, 'calls'), 'utf8').trimEnd().split('\n') };
}

const first = '-np 2 ablate train tuto --steps 5';
const again = '-np 2 ablate train --resume run';

test('a failed job is resumed until it succeeds', () => {
  expect(restart(3, [137, 1, 0])).toMatchObject({ code: 0, calls: [first, again, again] });
});

test('after the last restart it is given up with the exit code', () => {
  const { code, calls, stderr } = restart(1, [137, 9]);
  expect([code, calls]).toEqual([9, [first, again]]);
  expect(stderr).toContain('failed 2 times (exit code 9): given up; continue with --resume run');
});

test.each([2, 130])('exit code %i is not tried again', (code) => {
  expect(restart(3, [code])).toMatchObject({ code, calls: [first] });
});

test('a training that failed by itself is not tried again', () => {
  expect(restart(3, [1], 'failed')).toMatchObject({ code: 1, calls: [first] });
});

test('wrong usage', () => {
  const { status, stderr } = spawnSync('bash', [script, 'three', 'run', '--', 'mpirun'], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([2, expect.stringContaining('usage: scripts/mpirun-restart.sh')]);
});
