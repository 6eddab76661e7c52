/** Files to start from: those of `templates/`, with the names that the user gave. */
import { packageRoot } from '../util/package.ts';
import { readTextFile } from '../util/regular-file.ts';
import { join } from 'node:path';

/**
 * @param kind `model` or `augmentation`: the name of a file in `templates/`
 * @param names what `FILE` and `NAME` in it become
 */
export function readTemplate(kind: string, { file, name }: { readonly file: string; readonly name: string }): string {
  return readTextFile(join(packageRoot(), 'templates', `${kind}.ts`))
    .replaceAll('FILE', () => file)
    .replaceAll('NAME', () => name);
}
