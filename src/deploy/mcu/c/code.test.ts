/** The code of each case by itself, as its Makefile compiles it. test/device-code.test.ts tries all in several compilers. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { deviceCode } from '../../../../test/device-code-files.ts';
import { deviceCases } from '../../../../test/device-networks.ts';
import { missingTool } from '../../../../test/missing-tool.ts';
import { skippable } from '../../../../test/skippable.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-c-'));
afterAll(() => rmSync(folder, { recursive: true }));

const missing = missingTool('gcc') ?? missingTool('make');
test.skipIf(missing !== undefined).each(deviceCases)(skippable('$name', missing), async (each) => {
  const { files } = await deviceCode(each, 'small', 6);
  const home = mkdtempSync(join(folder, 'case-'));
  for (const [name, text] of files) writeFileSync(join(home, name), text);
  execFileSync('make', ['small_test', 'CC=gcc', 'CFLAGS=-O0 -Werror'], { cwd: home, stdio: 'pipe' });
  const { stdout, status } = spawnSync(join(home, 'small_test'), { encoding: 'utf8' });
  expect(stdout).toContain('6 of 6 images gave the expected logits');
  expect(status).toBe(0);
});
