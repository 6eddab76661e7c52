/** docs/results/robustness.json: what the last `npm run hostile -- --record` and `npm run kill -- --record` came to. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeEnvironment } from '../src/runs/environment.ts';

const path = join(import.meta.dirname, '..', 'docs', 'results', 'robustness.json');

/** Replaces one part of the record, and leaves the other. */
export function recordRobustness(part: 'hostile' | 'kill', outcome: object): void {
  const { cpu, operatingSystem, versions, git } = describeEnvironment({ threads: 1 });
  const recorded = JSON.parse(readFileSync(path, 'utf8')) as object;
  const machine = { processor: cpu.model, cores: cpu.physicalCores, operatingSystem, versions, commit: git?.commit };
  const what = 'Bad input at every command, and kill -9 at random moments';
  const record = { ...recorded, what, [part]: { command: `npm run ${part} -- --record`, ...machine, ...outcome } };
  writeFileSync(path, `${JSON.stringify(record, undefined, 2)}\n`);
}
