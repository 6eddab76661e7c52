/** Before each test file. Files share a process, in which a module is loaded once: what one leaves behind would meet the next. */
import { afterAll, afterEach, vi } from 'vitest';

// The node:fs that loaded modules have is that of the first file, and can be watched (test/watched-fs.ts).
vi.mock('node:fs', async (original) => (await import('./watched-fs.ts')).watchedFs(await original()));

/** Between tests each process answers the runner, which gives up on one that computes for a minute without doing so. */
afterEach(() => new Promise<void>((resolve) => setImmediate(resolve)));

afterAll(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});
