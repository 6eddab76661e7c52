/** Programs in the place of a scheduler's: they print what a test prepared, and keep the words that they were given. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';

export interface FakeAnswer {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly code?: number;
  /** Lines of sh that come first. */
  readonly before?: string;
}

export interface FakePrograms {
  /** Where they are, the first folder of PATH; for other files of the test, too. */
  readonly folder: string;
  /** Makes one, or makes it say something else. */
  make(name: string, answer?: FakeAnswer): void;
  /** The words of each of its calls so far. */
  calls(name: string): string[][];
  remove(): void;
}

export function fakePrograms(): FakePrograms {
  const folder = mkdtempSync(join(tmpdir(), 'ablate-programs-'));
  vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`);
  const file = (name: string, kind: string) => join(folder, `${name}.${kind}`);
  return {
    folder,
    make(name, { stdout = '', stderr = '', code = 0, before = '' } = {}) {
      writeFileSync(file(name, 'stdout'), stdout);
      writeFileSync(file(name, 'stderr'), stderr);
      const lines = [
        '#!/bin/sh',
        `printf '%s\\0' "$#" "$@" >> "$0.calls"`,
        ...[before, 'cat "$0.stdout"', 'cat "$0.stderr" >&2', `exit ${code}`],
      ];
      writeFileSync(join(folder, name), `${lines.join('\n')}\n`, { mode: 0o755 });
    },
    calls(name) {
      if (!existsSync(file(name, 'calls'))) return [];
      const words = readFileSync(file(name, 'calls'), 'utf8').split('\0');
      const calls: string[][] = [];
      // Each call begins with the number of its words.
      while (words.length > 1) calls.push(words.splice(0, 1 + Number(words[0])).slice(1));
      return calls;
    },
    remove() {
      vi.unstubAllEnvs();
      rmSync(folder, { recursive: true });
    },
  };
}
