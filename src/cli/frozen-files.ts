/** What the commands that write or read frozen files have in common. */
import { DataError } from '../util/errors.ts';
import { frozenFileName } from '../util/file-names.ts';
import { statIfReachable } from '../util/regular-file.ts';
import { quoted } from '../util/shell.ts';

/**
 * A run, or the name of a model, where a frozen file is wanted: what to do is said.
 *
 * @throws DataError if `path` is no file, nor has the name of a frozen one
 */
export function requireFrozenFile(path: string): void {
  if (frozenFileName.test(path) || statIfReachable(path)?.isDirectory() === false) return;
  throw new DataError(`${path} is no frozen file (.onnx)`, {
    fix: `ablate freeze ${quoted(path)} -o model.onnx    (if it is a run; then give model.onnx)`,
  });
}
