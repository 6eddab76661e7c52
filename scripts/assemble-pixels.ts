/** Translates src/data/pixels.wat. */
import { readFileSync } from 'node:fs';
import createWabt from 'wabt';

/** The WebAssembly module of the pixel kernels. */
export async function assemblePixels(): Promise<Uint8Array> {
  const wabt = await createWabt();
  const module = wabt.parseWat('pixels.wat', readFileSync(new URL('../src/data/pixels.wat', import.meta.url)), { simd: true });
  try {
    module.validate();
    return module.toBinary({}).buffer;
  } finally {
    module.destroy();
  }
}
