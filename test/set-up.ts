/** Between tests each process answers the runner, which gives up on one that computes for a minute without doing so. */
import { afterEach } from 'vitest';

afterEach(() => new Promise<void>((resolve) => setImmediate(resolve)));
