/** Signals, a closed terminal and a full disk stop real processes in order: all that was trained is saved. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { latestCheckpoint } from '../src/runs/checkpoint.ts';
import { allRuns, openRun } from '../src/runs/run-folder.ts';
import { recordedStatus } from '../src/runs/run-status.ts';
import { writeNoiseImages } from './noise-images.ts';
import { main, runCli } from './run-cli.ts';
import { skippable } from './skippable.ts';

const node = [process.execPath, main];
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-signals-'));
  writeNoiseImages(join(folder, 'images'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A training that goes on for hours unless it is stopped, and says how far it is after each step. */
const training = [
  ...['train', 'tuto', '--data', 'images:images', '--steps', '1000000', '--batch-size', '4', '--threads', '1'],
  ...['--eval-every', '0', '--save-every', '0', '--log-every', '1'],
];
const begun = (text: string) => /step \d+\/1000000/.test(text);

/** Expects that a training into `runs` was stopped in order, with all of its steps in a checkpoint. */
function expectSaved(runs: string): void {
  const run = openRun(join(folder, runs, 'tuto', '1'));
  const { status, step } = recordedStatus(run);
  expect(status).toBe('interrupted');
  expect(step).toBeGreaterThan(0);
  expect(latestCheckpoint(run)?.step).toBe(step);
}

test.each(['SIGUSR1', 'SIGUSR2', 'SIGTERM', 'SIGQUIT'] as const)(
  '%s saves and stops a training',
  async (signal) => {
    // Once: a second SIGQUIT means it.
    let sent = false;
    const onStderr = (text: string) => {
      if (sent || !begun(text)) return undefined;
      sent = true;
      return signal;
    };
    const { code, stderr } = await runCli([...training, '--runs-dir', signal], { cwd: folder, onStderr });
    expect(code, stderr).toBe(130);
    // Node's answer to SIGUSR1.
    expect(stderr).not.toContain('Debugger');
    expect(stderr.match(/stopping after this step, and saving/g)).toHaveLength(1);
    expectSaved(signal);
  },
  120_000,
);

test('SIGHUP saves and stops a study and the run that it trains', async () => {
  writeFileSync(
    join(folder, 'study.yaml'),
    `name: hung-up
dataset: images:images
baseline: { model: tuto, steps: 100000, batchSize: 4, evalEvery: 0, saveEvery: 0, logEvery: 1 }
design: one-at-a-time
factors: [{ name: lower rate, set: { learningRate: 0.001 } }]
seeds: 1
`,
  );
  const child = spawn(
    node[0]!,
    [...node.slice(1), 'study', 'study.yaml', '--data', 'images:images', '--threads', '1', '--runs-dir', 'study'],
    { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const trains = () => {
    const [run] = existsSync(join(folder, 'study', 'tuto')) ? allRuns(join(folder, 'study')) : [];
    return run !== undefined && readFileSync(join(run.path, 'metrics.jsonl'), 'utf8').includes('\n');
  };
  while (!trains() && child.exitCode === null) await sleep(20);
  child.kill('SIGHUP');
  expect(await ended, stderr).toBe(130);
  expectSaved('study');
}, 120_000);

test('hundreds of signals with a handler, as a window that changes its size sends them, harm no training', async () => {
  const listens = 'data:text/javascript,process.on("SIGWINCH", () => {})';
  const sizes = ['conv1.filters=16', 'conv2.filters=16', 'dense1.features=32', 'dense2=false'].flatMap((size) => ['--set', size]);
  const args = ['train', 'tuto', '--data', 'images:images', '--batch-size', '8', '--steps', '1000', '--threads', '1', ...sizes];
  const child = spawn(node[0]!, ['--import', listens, ...node.slice(1), ...args, '--eval-every', '0', '--runs-dir', 'many'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  while (!stderr.includes('recording in') && child.exitCode === null) await sleep(5);
  while (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGWINCH');
    await sleep(0);
  }
  expect(await ended, stderr).toBe(0);
}, 120_000);

const whyNoNohup = spawnSync('nohup', ['true']).status === 0 ? undefined : 'there is no nohup';

describe.skipIf(whyNoNohup)(skippable('the command as it is installed', whyNoNohup), () => {
  // No terminal: what is left of nohup is the shell's note.
  const environmentOf = (noted: string) => ({ ...process.env, _: `/usr/bin/${noted}` });
  const installed = () => join(folder, 'installed', 'bin', 'ablate.js');
  beforeAll(() => {
    mkdirSync(join(folder, 'installed', 'bin'), { recursive: true });
    cpSync(join(import.meta.dirname, '..', 'bin', 'ablate.js'), installed());
    symlinkSync(join(main, '..', '..'), join(folder, 'installed', 'dist'));
  });

  /** Starts it, sends SIGHUP once it trains, and gives how it ended. */
  const hungUp = async (...command: readonly string[]) => {
    const child = spawn(command[0]!, command.slice(1), {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: environmentOf(command[0]!),
    });
    let stderr = '';
    let sent = false;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      if (!sent && /step \d+\//.test(stderr)) sent = child.kill('SIGHUP');
    });
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, sent, stderr };
  };
  const short = training.map((argument) => (argument === '1000000' ? '60' : argument));

  test('goes on at a hang-up under nohup', async () => {
    const { code, sent, stderr } = await hungUp('nohup', installed(), ...short, '--runs-dir', 'held');
    expect({ code, sent }, stderr).toEqual({ code: 0, sent: true });
    expect(stderr).not.toContain('stopping');
    expect(recordedStatus(openRun(join(folder, 'held', 'tuto', '1')))).toMatchObject({ status: 'finished', step: 60 });
  }, 120_000);

  test('saves and stops without nohup', async () => {
    const { code, stderr } = await hungUp('env', installed(), ...training, '--runs-dir', 'not-held');
    expect(code, stderr).toBe(130);
    expectSaved('not-held');
  }, 120_000);
});

const whyNoPython = spawnSync('python3', ['-c', 'import pty']).status === 0 ? undefined : 'there is no python3';

describe.skipIf(whyNoPython)(skippable('a terminal that is closed', whyNoPython), () => {
  /** Runs a command on a terminal of its own, closes the terminal once `ready` is a file that has `text`, and gives the exit status. */
  const terminal = `
import os, pty, sys, time
ready, text, *command = sys.argv[1:]
child, master = pty.fork()
if child == 0: os.execvp(command[0], command)
os.set_blocking(master, False)
def begun():
    try: os.read(master, 65536)
    except OSError: pass # nothing new; or all have closed it, as nohup does
    try: return text in open(ready).read()
    except FileNotFoundError: return False
while not begun():
    assert os.waitpid(child, os.WNOHANG)[0] == 0, 'it ended by itself'
    time.sleep(0.02)
os.close(master)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
`;
  const inTerminal = async (ready: string, text: string, command: readonly string[]) => {
    // A test runner may itself have been started by nohup.
    const env = { ...process.env, _: '/usr/bin/env' };
    const { stdout } = await promisify(execFile)('python3', ['-c', terminal, ready, text, ...command], { cwd: folder, env });
    return Number(stdout);
  };
  test('saves and stops a training', async () => {
    const metrics = 'closed/tuto/1/metrics.jsonl';
    expect(await inTerminal(metrics, 'train/loss', [...node, ...training, '--runs-dir', 'closed'])).not.toBe(0);
    expectSaved('closed');
  }, 120_000);

  test.skipIf(whyNoNohup)(
    skippable('does not touch one under nohup', whyNoNohup),
    async () => {
      const short = training.map((argument) => (argument === '1000000' ? '60' : argument));
      const metrics = 'nohup/tuto/1/metrics.jsonl';
      expect(await inTerminal(metrics, 'train/loss', ['nohup', ...node, ...short, '--runs-dir', 'nohup'])).toBe(0);
      expect(recordedStatus(openRun(join(folder, 'nohup', 'tuto', '1')))).toMatchObject({ status: 'finished', step: 60 });
      expect(readdirSync(folder)).toContain('nohup.out');
    },
    120_000,
  );
});

const whyNoFull = existsSync('/dev/full') ? undefined : 'there is no /dev/full';

describe.skipIf(whyNoFull)(skippable('output to a full disk', whyNoFull), () => {
  // A tiny file system of its own, in a mount namespace that ends with the command.
  const mount = 'mount -t tmpfs -o size=4k tmpfs "$0"';
  const canMount = spawnSync('unshare', ['-rm', 'sh', '-c', mount, tmpdir()]).status === 0;
  const whyNoMount = canMount ? undefined : 'unshare and mount are not allowed';

  test.skipIf(whyNoMount)(
    skippable('a training whose log fills its disk saves, stops and fails', whyNoMount),
    async () => {
      const logs = join(folder, 'logs');
      mkdirSync(logs);
      const command = [...node, ...training, '--runs-dir', 'full'].map((word) => `'${word}'`).join(' ');
      const shell = `${mount} && exec ${command} 2> "$0/log"`;
      const child = spawn('unshare', ['-rm', 'sh', '-c', shell, logs], { cwd: folder, stdio: 'ignore' });
      expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(1);
      expectSaved('full');
    },
    120_000,
  );

  test('a result that cannot be written is an error, without a stack trace', () => {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(node[0]!, [...node.slice(1), 'info', 'tuto'], { stdio: ['ignore', full, 'pipe'] });
    closeSync(full);
    expect(String(stderr)).toBe('error: cannot write the result: no space left on the device (ENOSPC)\n');
    expect(status).toBe(1);
  }, 120_000);
});
