/*
 * Freezes the trained models that come with ablate: each trained_models/<name>.safetensors becomes <name>.onnx beside it, with the
 * accuracy of the frozen file on the test images of CIFAR-10 in its metadata. Run it after the weights have changed:
 *
 *     npm run freeze:trained
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, 'trained_models');
const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.safetensors')) : [];
if (names.length === 0) {
  console.error(`there are no weights (*.safetensors) in ${folder}`);
  process.exitCode = 1;
}
for (const name of names.sort()) {
  const weights = join(folder, name);
  const output = weights.replace(/\.safetensors$/, '.onnx');
  const ablate = join(root, 'bin', 'ablate.js');
  const { status } = spawnSync(process.execPath, [ablate, 'freeze', weights, '-o', output, '--evaluate'], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
