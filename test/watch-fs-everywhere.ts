/** For test files that share loaded modules: those that watch node:fs then may come in any order. */
import { vi } from 'vitest';

vi.mock('node:fs', async (original) => (await import('./watched-fs.ts')).watchedFs(await original()));
