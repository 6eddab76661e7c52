/** Writes the WebAssembly modules anew, after a .wat file of src/ was changed: `npm run wasm`. */
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { assembleWat } from './assemble-wat.ts';

for (const path of ['data/pixels.wat', 'deploy/mcu/kernels.wat']) {
  const binary = await assembleWat(path);
  const name = basename(path, '.wat');
  writeFileAtomic(
    fileURLToPath(new URL(`../src/${path.replace('.wat', '-binary.ts')}`, import.meta.url)),
    `/** ${name}.wat as a WebAssembly module, in base64. Written by \`npm run wasm\`. */
export const ${name}Binary =
  '${Buffer.from(binary).toString('base64')}';
`,
  );
}
