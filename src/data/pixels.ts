/**
 * The work on every pixel of an input: crop, mirror and reflection, the sums that statistics need, scale and shift. The thread that
 * does it shares the cores with training, so it is done with vector instructions where that is possible.
 */
import { createPixelLoops } from './pixel-loops.ts';
import type { ImageShape, PixelPlanes, Sides } from './pixel-planes.ts';
import { createPixelVectors, widestForVectors } from './pixel-vectors.ts';

/** Both ways give the same numbers. */
export function createPixelPlanes(shape: ImageShape, sides: Sides): PixelPlanes {
  if (shape[2] > widestForVectors) return createPixelLoops(shape, sides);
  try {
    return createPixelVectors(shape, sides);
  } catch (error) {
    // A WebAssembly memory reserves ten gigabytes of addresses, which a limit on virtual memory (`ulimit -v`) may refuse.
    if (error instanceof RangeError) return createPixelLoops(shape, sides);
    throw error;
  }
}
