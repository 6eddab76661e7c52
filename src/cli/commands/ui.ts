import type { Command } from 'commander';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dataDirOption } from '../dataset.ts';
import { usualPort } from '../live-page.ts';
import { integer, runsDirOption } from '../options.ts';
import { note } from '../output.ts';
import { servePage } from '../serve-page.ts';

interface Options {
  readonly dataDir?: string;
  readonly port: number;
  readonly host: string;
  readonly control?: true;
}

export function addUiCommand(program: Command): void {
  program
    .command('ui')
    .description('serve a page that shows runs and studies live: curves, effects, mistakes, and what a network has learnt')
    .argument('[folder]', 'folder of the runs', runsDirOption[2])
    .option('--port <n>', 'port to listen on; 0 takes a free one', integer(0, 65_535), usualPort)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--control', 'let whoever has the printed address stop runs')
    .option(...dataDirOption)
    .action(serveUi);
}

async function serveUi(folder: string, { port, host, dataDir, control }: Options): Promise<void> {
  if (!existsSync(folder)) note(`there is no folder ${folder} yet: the page is empty until runs are in it`);
  const token = control === true ? randomBytes(16).toString('hex') : undefined;
  const { startUi } = await import('../../web/ui/server/server.ts');
  const server = await startUi({ runsFolder: folder, port, host, dataDir, token });
  await servePage(server, { host, path: token === undefined ? '' : `#/runs?token=${token}`, readable: 'these runs' });
}
