/** oneDNN, where none is usable: from the system's package manager, or where that may not be used, from a wheel of PyPI. */
import type { OnednnProbe } from '../engine/onednn/probe.ts';
import { AblateError, messageOf } from '../util/errors.ts';
import { cachedLibraryFolder, wheelsFor, type Wheel } from '../engine/onednn/cached-library.ts';
import { thisMachine } from '../engine/onednn/native.ts';
import { aptPrefix, installWithApt, newestPackage } from './apt.ts';
import { hasCommand, runCommand, type Say } from './run-command.ts';
import { installFromWheel } from './wheel.ts';
import { askProcess } from '../util/ask-process.ts';

export interface Way {
  /** The command, or what is done. */
  readonly description: string;
  /** @throws AblateError if it fails */
  install(say: Say): Promise<void>;
}

/**
 * The ways that there are here, the better one first.
 *
 * @param user without package managers, whatever rights there are
 */
export function waysToOnednn({ user = false }: { readonly user?: boolean | undefined } = {}): readonly Way[] {
  const [wheel] = wheelsFor(thisMachine());
  return [...(user ? [] : packageManagers()), ...(wheel === undefined ? [] : [fromWheel(wheel)])];
}

function fromWheel(wheel: Wheel): Way {
  return {
    description: `taking the library of ${wheel.name} from ${new URL(wheel.url).host} into ${cachedLibraryFolder()}`,
    async install(say) {
      await installFromWheel(wheel, say);
    },
  };
}

function packageManagers(): readonly Way[] {
  if (process.platform === 'darwin' && hasCommand('brew')) return [byCommand(['brew', 'install', 'onednn'])];
  const prefix = aptPrefix();
  if (prefix === undefined) return [];
  const find = () => newestPackage('^libdnnl[0-9.]+$');
  const description = [...prefix, 'apt-get', 'install', find() ?? 'libdnnl2'].join(' ');
  return [
    {
      description,
      async install(say) {
        if (!(await installWithApt(prefix, find, say))) throw new AblateError(`${description} failed`);
      },
    },
  ];
}

function byCommand(command: readonly string[]): Way {
  const description = command.join(' ');
  return {
    description,
    async install(say) {
      if (!(await runCommand(command, say))) throw new AblateError(`${description} failed`);
    },
  };
}

const byHand =
  process.platform === 'darwin'
    ? 'install Homebrew (https://brew.sh), then: ablate setup'
    : process.platform === 'win32'
      ? 'graphics cards need no oneDNN: ablate setup --gpu'
      : 'have an administrator install it (Debian, Ubuntu: libdnnl2 or libdnnl3), or install oneDNN 2 or 3 with your package manager';

/**
 * Installs oneDNN in the first way that works.
 *
 * @returns the library as the program finds it then
 * @throws AblateError that says for each way why it failed
 */
export async function installOnednn(ways: readonly Way[], say: Say): Promise<OnednnProbe> {
  const failures: string[] = [];
  let fix = byHand;
  for (const way of ways) {
    try {
      await way.install(say);
      const found = await probeAgain();
      if (found.ok) return found;
      failures.push(`${way.description}: installed, and not usable: ${found.error ?? 'not found'}`);
      fix = found.fix ?? fix;
    } catch (error) {
      if (!(error instanceof AblateError)) throw error;
      failures.push(messageOf(error));
      fix = error.fix ?? fix;
    }
  }
  const why = failures.length === 0 ? 'there is no way to install it here' : failures.join('; ');
  throw new AblateError(`oneDNN, which computes on processors, could not be installed: ${why}`, { fix });
}

/** What the program finds, asked in a process of its own: a library once missing stays missing in this one. */
async function probeAgain(): Promise<OnednnProbe> {
  const { answer, failure } = await askProcess<OnednnProbe>(import.meta.url, 'probe-process', 60_000);
  return answer ?? { ok: false, error: `the process that loads it ${failure ?? 'said nothing'}` };
}
