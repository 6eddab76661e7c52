import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AblateError } from '../util/errors.ts';

/**
 * That a result cannot be written where `-o` says is told before the work, not after it.
 *
 * @throws AblateError if the folder of `file` does not exist, or `file` is a folder itself
 */
export function requireWritableFolder(file: string): void {
  const folder = dirname(file);
  if (!existsSync(folder))
    throw new AblateError(`cannot write ${file}: there is no folder ${folder}`, { fix: `mkdir -p ${folder}` });
  if (existsSync(file) && statSync(file).isDirectory()) {
    throw new AblateError(`cannot write ${file}: it is a folder`, { fix: `name a file: -o ${join(file, 'model.onnx')}` });
  }
}
