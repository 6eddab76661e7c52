/**
 * The work on every pixel of an input: crop, mirror and reflection, the sums that statistics need, scale and shift. The thread that
 * does it shares the cores with training, so it is done with vector instructions where that is possible.
 */
import { createPixelLoops } from './pixel-loops.ts';
import type { ImageShape, PixelPlanes } from './pixel-planes.ts';
import { createPixelVectors, widestForVectors } from './pixel-vectors.ts';

/** Both ways give the same numbers. */
export function createPixelPlanes(shape: ImageShape, inputSize: number): PixelPlanes {
  if (shape[2] > widestForVectors) return createPixelLoops(shape, inputSize);
  try {
    return createPixelVectors(shape, inputSize);
  } catch (error) {
    // A WebAssembly memory reserves ten gigabytes of addresses, which a limit on virtual memory (`ulimit -v`) may refuse.
    if (error instanceof RangeError) return createPixelLoops(shape, inputSize);
    throw error;
  }
}
