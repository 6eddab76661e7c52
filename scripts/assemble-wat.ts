/** Translates WebAssembly text of src/. */
import { readFileSync } from 'node:fs';
import createWabt from 'wabt';

/**
 * The WebAssembly module of a file.
 *
 * @param path within src/: `data/pixels.wat`
 */
export async function assembleWat(path: string): Promise<Uint8Array> {
  const wabt = await createWabt();
  const module = wabt.parseWat(path, readFileSync(new URL(`../src/${path}`, import.meta.url)), { simd: true });
  try {
    module.validate();
    return module.toBinary({}).buffer;
  } finally {
    module.destroy();
  }
}
