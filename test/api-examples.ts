/** The examples of docs/api.md, as files of a program that imports the library. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { encodePng } from '../src/runs/png.ts';
import { uint32 } from '../src/util/random.ts';
import { compiledFolder } from './compile-sources.ts';

export interface Example {
  /** The heading that it is under. */
  readonly heading: string;
  /** Of its file: what its first line says, else by its position. */
  readonly file: string;
  readonly code: string;
}

/** In the order of the page; after them README's. */
export function apiExamples(): Example[] {
  const page = ['docs/api.md', 'README.md'].map((file) => readFileSync(join(import.meta.dirname, '..', file), 'utf8')).join('\n');
  return [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(({ 1: code = '', index }, i) => ({
    heading: /[^]*^## (.*)$/m.exec(page.slice(0, index))![1]!,
    file: /^\/\/ (\S+\.ts)\n/.exec(code)?.[1] ?? `example-${i}.ts`,
    code,
  }));
}

/** The same work on a few small pictures, in as few steps as there can be. */
export function shortened(code: string): string {
  return code
    .replaceAll("'cifar10'", "'images:pictures'")
    .replaceAll(/steps: \d+/g, 'steps: 2')
    .replaceAll('photo.jpg', photo);
}

const photo = 'pictures/test/dark/0.png';

/** As JavaScript, without a check of its types. */
export function asJavaScript(code: string): string {
  return ts.transpileModule(code, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } })
    .outputText;
}

/** Makes a folder in which `ablate` is the library of the sources as they are now. */
export function linkLibrary(folder: string): void {
  const library = join(folder, 'node_modules', 'ablate');
  mkdirSync(library, { recursive: true });
  symlinkSync(compiledFolder, join(library, 'dist'));
  const { exports } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')) as {
    readonly exports: object;
  };
  writeFileSync(join(library, 'package.json'), JSON.stringify({ name: 'ablate', type: 'module', exports }));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
}

/** Two classes: dark and bright noise. */
export function writePictures(folder: string): void {
  for (const [split, count] of [
    ['train', 40],
    ['test', 5],
  ] as const) {
    for (const [label, base] of [
      ['dark', 0],
      ['bright', 128],
    ] as const) {
      const into = join(folder, 'pictures', split, label);
      mkdirSync(into, { recursive: true });
      for (let i = 0; i < count; i++) {
        const samples = Uint8Array.from({ length: 32 * 32 * 3 }, (_, k) => base + (uint32(base + i, k) % 128));
        writeFileSync(join(into, `${i}.png`), encodePng({ width: 32, height: 32, channels: 3, samples }));
      }
    }
  }
}
