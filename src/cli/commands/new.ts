import type { Command } from 'commander';
import { basename } from 'node:path';
import { ConfigurationError } from '../../util/errors.ts';
import { isCodeFile } from '../../util/file-names.ts';
import { quoted } from '../../util/shell.ts';
import { jsonOption } from '../options.ts';
import { claimOutput, forceOption } from '../output-file.ts';
import { print, printJson } from '../output.ts';

interface Options {
  readonly force?: true;
  readonly json?: true;
}

/** What can be begun, with what to do next. */
const kinds = {
  model: { summary: 'a network, in TypeScript', next: (file: string) => `npx ablate train ${file} --recipe modern` },
  augmentation: {
    summary: 'what is done to training images, in TypeScript',
    next: (file: string) => `npx ablate train tuto --augment-with ${file}`,
  },
  data: { summary: 'a data set, in TypeScript', next: (file: string) => `npx ablate train tuto --data ${file} --epochs 20` },
} as const;

type Kind = keyof typeof kinds;

export function addNewCommand(program: Command): void {
  const names = Object.entries(kinds).map(([name, { summary }]) => `${name} (${summary})`);
  program
    .command('new')
    .description('write a working file to start from, with comments')
    .argument('<kind>', `what: ${names.join(', ')}`)
    .argument('<file>', 'where: net.ts, data.ts')
    .option(...forceOption)
    .option(...jsonOption)
    .action(writeNew);
}

async function writeNew(given: string, file: string, { force, json }: Options): Promise<void> {
  const known = Object.keys(kinds);
  if (!known.includes(given)) throw new ConfigurationError(`kind (=${given}) must be one of ${known.join(', ')}`);
  const kind = given as Kind;
  if (!isCodeFile(file) || !/\.m?ts$/.test(file)) {
    throw new ConfigurationError(`file (=${file}) must end in .ts`, { fix: `ablate new ${kind} ${quoted(`${file}.ts`)}` });
  }
  const output = claimOutput(file, { source: '', what: 'write', force: force === true });
  const { readTemplate } = await import('../../user/templates.ts');
  output.write(new TextEncoder().encode(readTemplate(kind, { file: quoted(file), name: nameOf(file) })));
  const next = kinds[kind].next(quoted(file));
  if (json === true) printJson({ file, kind, next });
  else print(`wrote ${file}; try it: ${next}`);
}

/** `my-net` of `nets/my-net.ts`: what the model (and the folder of its runs) or the augmentation is called. */
function nameOf(file: string): string {
  const name = basename(file)
    .replace(/\.m?ts$/, '')
    .replace(/[^A-Za-z0-9_-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '');
  return name === '' ? 'mine' : name;
}
