/** What tests of files of the user's own begin with: an empty folder, in which the command line works as it would for a user. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { latestCheckpoint, loadCheckpoint, type Checkpoint } from '../src/runs/checkpoint.ts';
import { openRun } from '../src/runs/run-folder.ts';
import { runCli, type Finished } from './run-cli.ts';

export interface WorkingFolder {
  readonly folder: string;
  /** The path of a file in it. */
  path(name: string): string;
  read(name: string): string;
  write(name: string, text: string): void;
  /** What is in a file of JSON. */
  record(name: string): unknown;
  ablate(...args: readonly string[]): Promise<Finished>;
  /** The same, ended by a signal as soon as what it says on stderr matches. */
  ended(when: { readonly at: RegExp; readonly by: NodeJS.Signals }, ...args: readonly string[]): Promise<Finished>;
  /** What a command that must succeed prints with --json. */
  json(...args: readonly string[]): Promise<Record<string, unknown>>;
  /** All of a run's newest checkpoint, by names. */
  tensorsOf(run: string): Checkpoint['tensors'];
}

/** Makes the folder, which is deleted after the tests of the file. */
export function workingFolder(name: string): WorkingFolder {
  const folder = mkdtempSync(join(tmpdir(), `ablate-${name}-`));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const path = (file: string): string => join(folder, file);
  const read = (file: string): string => readFileSync(path(file), 'utf8');
  const ablate = (...args: readonly string[]): Promise<Finished> => runCli(args, { cwd: folder });
  return {
    ...{ folder, path, read, ablate },
    ended: ({ at, by }, ...args) => runCli(args, { cwd: folder, onStderr: (text) => (at.test(text) ? by : undefined) }),
    write(file, text) {
      mkdirSync(dirname(path(file)), { recursive: true });
      writeFileSync(path(file), text);
    },
    record: (file) => JSON.parse(read(file)) as unknown,
    async json(...args) {
      const { code, stdout, stderr } = await ablate(...args, '--json');
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout) as Record<string, unknown>;
    },
    tensorsOf: (run) => loadCheckpoint(latestCheckpoint(openRun(path(run)))!.path).tensors,
  };
}
