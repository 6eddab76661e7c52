import type { Command } from 'commander';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../../util/errors.ts';
import { requireFrozenFile } from '../frozen-files.ts';
import { integer } from '../options.ts';
import { servePage } from '../serve-page.ts';

interface Options {
  readonly port: number;
  readonly host: string;
}

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('serve a page that classifies images in the browser; works offline')
    .argument('[model.onnx...]', 'files that `ablate freeze` wrote (default: the trained models that come with ablate)')
    .option('--port <n>', 'port to listen on; 0 takes a free one', integer(0, 65_535), 8017)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .action(serveDemo);
}

async function serveDemo(paths: string[], { port, host }: Options): Promise<void> {
  paths.forEach(requireFrozenFile);
  const { startDemo } = await import('../../web/demo/server.ts');
  const models = paths.length > 0 ? paths : await trainedModels();
  const server = await startDemo({ models, port, host });
  await servePage(server, { host, path: '', readable: 'these models' });
}

async function trainedModels(): Promise<string[]> {
  const { packageRoot } = await import('../../util/package.ts');
  const folder = join(packageRoot(), 'trained_models');
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.onnx')) : [];
  if (names.length === 0) {
    throw new DataError('there is no frozen file to show', {
      fix: 'ablate freeze <run> -o model.onnx && ablate demo model.onnx',
    });
  }
  return names.sort().map((name) => join(folder, name));
}
