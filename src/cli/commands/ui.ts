import type { Command } from 'commander';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { dataDirOption } from '../dataset.ts';
import { interruptible } from '../interrupt.ts';
import { usualPort } from '../live-page.ts';
import { integer, runsDirOption } from '../options.ts';
import { note, print } from '../output.ts';

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
  const token = control === true ? randomBytes(16).toString('hex') : undefined;
  const { startUi } = await import('../../web/ui/server/server.ts');
  const server = await startUi({ runsFolder: folder, port, host, dataDir, token });
  try {
    await interruptible('stopping', async (signal) => {
      // Said when a signal ends it in order.
      print(token === undefined ? server.url : `${server.url}#/runs?token=${token}`);
      note('Open the address in a browser. Ctrl-C ends.');
      if (!isLoopback(host)) {
        note(
          `Whoever reaches ${host} over the network can read these runs: there is no password. For yourself alone, leave --host out,`,
        );
        note(`and from another machine: ssh -L ${new URL(server.url).port}:localhost:${new URL(server.url).port} <this machine>`);
      }
      await once(signal, 'abort');
    });
  } finally {
    await server.close();
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
