/** What kind of file it is, by the end of its name. */
import { basename, relative, resolve } from 'node:path';
import { ConfigurationError } from './errors.ts';

/** A file of weights, which may be compressed. */
export const weightsFileName = /\.safetensors(\.gz)?$/;

/** A frozen file, which may be compressed. */
export const frozenFileName = /\.onnx(\.gz)?$/;

/** Whether a name is that of a file of code and not, say, of a model. */
export function isCodeFile(name: string): boolean {
  return /\.[cm]?[jt]s$/.test(name);
}

/** Whether a data set is told by a file of code, and not by a name of the lab's (`images:<folder>` may end alike; a single letter is a drive of Windows). */
export function isDatasetFile(name: string): boolean {
  return isCodeFile(name) && !/^[^:/\\]{2,}:/.test(name);
}

/**
 * A data set that a file in `folder` names, as it is called from here: files of code and folders of pictures are looked for from that folder on.
 */
export function datasetBeside(folder: string, name: string): string {
  if (resolve(folder) === resolve('')) return name;
  const [, images, path = '', query = ''] = /^(images:)([^?]*)(.*)$/s.exec(name) ?? [];
  if (images !== undefined) return path === '' ? name : `${images}${fromHere(folder, path)}${query}`;
  return isDatasetFile(name) ? fromHere(folder, name) : name;
}

function fromHere(folder: string, path: string): string {
  const absolute = resolve(folder, path);
  const shorter = relative('', absolute);
  return shorter === '' || shorter.startsWith('..') ? absolute : shorter;
}

/** A run as files that are handed on name it. One that is not where runs are kept is known by its path here, of which others see the last part. */
export function sharedRunName(name: string): string {
  return /^[^/]+\/\d+$/.test(name) ? name : basename(name);
}

/** @throws ConfigurationError if a name is not that of an ONNX file, which may be compressed */
export function requireFrozenName(file: string): void {
  if (frozenFileName.test(file)) return;
  throw new ConfigurationError(`output (=${file}) must end in .onnx, or in .onnx.gz to be compressed`);
}
