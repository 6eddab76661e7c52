import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import { frozenFileName } from '../util/file-names.ts';
import { quoted } from '../util/shell.ts';

/**
 * That a result cannot be written where `-o` says is told before the work, not after it.
 *
 * @throws AblateError if the folder of `file` does not exist, or `file` is a folder itself
 */
export function requireWritableFolder(file: string): void {
  const folder = dirname(file);
  if (!existsSync(folder))
    throw new AblateError(`cannot write ${file}: there is no folder ${folder}`, { fix: `mkdir -p ${quoted(folder)}` });
  if (existsSync(file) && statSync(file).isDirectory()) {
    throw new AblateError(`cannot write ${file}: it is a folder`, { fix: `name a file: -o ${quoted(join(file, 'model.onnx'))}` });
  }
}

/**
 * What is made of a file must not take its place.
 *
 * @param source the run or file that it is made of
 * @param what is done to it: `freeze`
 * @throws ConfigurationError if `file` is the source; AblateError as `requireWritableFolder`
 */
export function requireOutputFile(file: string, source: string, what: string): void {
  if (resolve(file) === resolve(source)) {
    throw new ConfigurationError(`output (=${file}) is the file to ${what}`, { fix: 'name another file: -o <file>' });
  }
  requireWritableFolder(file);
}

/** As `requireOutputFile`, for an ONNX file that may be compressed. */
export function requireFrozenOutput(file: string, source: string, what: string): void {
  if (!frozenFileName.test(file)) {
    throw new ConfigurationError(`output (=${file}) must end in .onnx, or in .onnx.gz to be compressed`);
  }
  requireOutputFile(file, source, what);
}
