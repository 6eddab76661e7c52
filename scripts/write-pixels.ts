/** Writes src/data/pixels-binary.ts anew, after src/data/pixels.wat was changed: `npm run pixels`. */
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { assemblePixels } from './assemble-pixels.ts';

const binary = await assemblePixels();
writeFileAtomic(
  fileURLToPath(new URL('../src/data/pixels-binary.ts', import.meta.url)),
  `/** pixels.wat as a WebAssembly module, in base64. Written by \`npm run pixels\`. */
export const pixelsBinary =
  '${Buffer.from(binary).toString('base64')}';
`,
);
