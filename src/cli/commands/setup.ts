import type { Command } from 'commander';
import { AblateError } from '../../util/errors.ts';
import { asTyped } from '../invocation.ts';
import { note, print } from '../output.ts';

interface SetupOptions {
  readonly gpu?: true;
  readonly user?: true;
  readonly dryRun?: true;
}

export function addSetupCommand(program: Command): void {
  program
    .command('setup')
    .description('install what is missing: oneDNN, and with --gpu what graphics cards need')
    .option('--gpu', 'also install the package webgpu (137 MB), which computes on graphics cards')
    .option('--user', 'only what needs no administrator: oneDNN from PyPI into the cache instead of from a package manager')
    .option('--dry-run', 'say what would be done')
    .action(async (options: SetupOptions) => {
      const hasCard = await setUpWebgpu(options);
      try {
        await setUpOnednn(options);
      } catch (error) {
        // One of the two is enough.
        if (!hasCard || !(error instanceof AblateError)) throw error;
        note(`${error.message}; --engine webgpu computes without it`);
      }
    });
}

const say = (line: string) => note(`set-up: ${line}`);

async function setUpOnednn({ user, dryRun }: SetupOptions): Promise<void> {
  const { probeOnednn } = await import('../../engine/onednn/probe.ts');
  const { installOnednn, waysToOnednn } = await import('../../setup/onednn.ts');
  let found = probeOnednn();
  if (!found.ok) {
    const ways = waysToOnednn({ user });
    if (dryRun === true) {
      print(`oneDNN is missing; ${ways.length === 0 ? 'there is no way to install it here' : 'would be tried in this order:'}`);
      for (const { description } of ways) print(`  ${description}`);
      return;
    }
    say('the oneDNN library, which computes on processors, is not usable yet');
    found = await installOnednn(ways, say);
  }
  print(`oneDNN ${found.version ?? ''} is ready (${found.path ?? ''})`);
}

/** Whether there is a card to compute on; only known where graphics cards are asked for. */
async function setUpWebgpu({ gpu, dryRun }: SetupOptions): Promise<boolean> {
  const { commandFor, installedWebgpu, installWebgpu, wantedWebgpu } = await import('../../setup/webgpu.ts');
  const installed = installedWebgpu();
  if (gpu !== true) {
    if (installed === undefined) print(asTyped('for a graphics card, the package webgpu (137 MB): ablate setup --gpu'));
    return false;
  }
  if (installed !== wantedWebgpu()) {
    const what = commandFor();
    if (dryRun === true) {
      const state = installed === undefined ? 'missing' : `here in version ${installed}`;
      print(`the package webgpu is ${state}; would be run in ${what.folder}:\n  ${what.command.join(' ')}`);
      return false;
    }
    say(`the package webgpu comes into ${what.place}`);
    await installWebgpu(what, say);
  }
  const { listAdapters } = await import('../../engine/webgpu/probe.ts');
  const answer = await listAdapters();
  if ('reason' in answer) {
    print(
      `webgpu ${wantedWebgpu()} is ready, but ${answer.reason}${answer.fix === undefined ? '' : `\n-> ${asTyped(answer.fix)}`}`,
    );
    return false;
  }
  print(`webgpu ${wantedWebgpu()} is ready (${answer.adapters.map(({ description }) => description).join('; ')})`);
  return true;
}
