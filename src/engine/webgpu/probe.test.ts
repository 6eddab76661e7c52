/** What becomes of the search for graphics cards where drivers misbehave. A driver is stood in for by a file that Node loads in the process that asks. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { listAdapters, probeAdapter } from './probe.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-probe-'));
afterEach(() => vi.unstubAllEnvs());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Makes every process that is started do this first. */
function driverDoes(code: string): void {
  const file = join(folder, 'driver.cjs');
  writeFileSync(file, code);
  vi.stubEnv('NODE_OPTIONS', `--require=${file}`);
}

test('a driver that crashes, and one that never answers, are reasons for having no card', async () => {
  driverDoes("process.kill(process.pid, 'SIGSEGV')");
  expect(await probeAdapter()).toEqual({
    available: false,
    fast: false,
    reason: 'the process that asked the drivers of graphics cards ended (SIGSEGV)',
    fix: expect.stringMatching(/^update the drivers/) as string,
  });
  driverDoes('Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)');
  expect(await listAdapters(300)).toMatchObject({
    adapters: [],
    reason: expect.stringMatching(/did not answer within 0\.3 s$/) as string,
  });
});
