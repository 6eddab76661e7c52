import { mainFile, makefile, testVectorsFile, type TestVectors } from './example.ts';
import { requireIdentifier } from './names.ts';
import { headerFile, sourceFile, type CodeOptions } from './source.ts';

/**
 * Names of all files that `codeFiles` makes.
 *
 * @throws ConfigurationError for a name that is no identifier
 */
export function codeFileNames(name: string): readonly string[] {
  requireIdentifier(name);
  return [`${name}.c`, `${name}.h`, `${name}_test_vectors.h`, 'main.c', 'Makefile'];
}

/**
 * All files of a plan in C, by name: the code and its header, test images with a program that tries them, and a Makefile.
 *
 * @throws ConfigurationError for a name that is no identifier
 */
export function codeFiles(options: CodeOptions, vectors: TestVectors): ReadonlyMap<string, string> {
  const texts = [
    sourceFile(options),
    headerFile(options),
    testVectorsFile(options, vectors),
    mainFile(options),
    makefile(options),
  ];
  return new Map(codeFileNames(options.name).map((name, i) => [name, texts[i]!]));
}
