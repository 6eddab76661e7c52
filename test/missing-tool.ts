import { spawnSync } from 'node:child_process';

/** Why tests that call a program are skipped; undefined where it is installed. */
export function missingTool(program: string): string | undefined {
  const { error } = spawnSync(program, ['--version']);
  return error === undefined ? undefined : `${program} is not installed`;
}
