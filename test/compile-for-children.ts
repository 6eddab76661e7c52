import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/**
 * Compiles src/util and src/runs, without checking types, into `folder`: processes that a test starts by the dozen then start in
 * a tenth of the time that compiling on the fly takes.
 */
export function compileForChildren(folder: string): void {
  for (const part of ['util', 'runs']) {
    const source = join(import.meta.dirname, '..', 'src', part);
    mkdirSync(join(folder, part), { recursive: true });
    for (const name of readdirSync(source)) {
      if (!name.endsWith('.ts') || name.endsWith('.test.ts')) continue;
      const { outputText } = ts.transpileModule(readFileSync(join(source, name), 'utf8'), {
        compilerOptions: {
          target: ts.ScriptTarget.ES2022,
          module: ts.ModuleKind.ESNext,
          verbatimModuleSyntax: true,
          rewriteRelativeImportExtensions: true,
        },
      });
      writeFileSync(join(folder, part, name.replace(/\.ts$/, '.js')), outputText);
    }
  }
  const packages = join(folder, 'node_modules');
  if (!existsSync(packages)) symlinkSync(join(import.meta.dirname, '..', 'node_modules'), packages);
  // Says that the files are ECMAScript modules.
  cpSync(join(import.meta.dirname, '..', 'package.json'), join(folder, 'package.json'));
}
