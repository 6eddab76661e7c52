import type { Command } from 'commander';
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { execFileSync } from 'node:child_process';
import type { OnednnProbe } from '../../engine/onednn/probe.ts';
import { AblateError, messageOf } from '../../util/errors.ts';
import { asTyped } from '../invocation.ts';
import { jsonOption } from '../options.ts';
import { print, printJson, styles } from '../output.ts';

/** One thing that ablate needs, or is better with. */
interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was found. */
  readonly detail: string;
  /** What to do about it; null where nothing has to be done. */
  readonly fix: string | null;
  /** Whether nothing works without it. */
  readonly required: boolean;
}

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('say what this machine has, what is missing, and which command fixes it')
    .option(...jsonOption)
    .action(async (options: { readonly json?: true }) => {
      const graphics = await graphicsChecks();
      const checks = [
        nodeCheck(),
        platformCheck(),
        ...(await onednnChecks(graphics.some(({ ok }) => ok))),
        ...graphics,
        await coresCheck(),
        ...(await dataChecks()),
        gitCheck(),
      ];
      const missing = checks.filter((check) => check.required && !check.ok);
      if (options.json === true) printJson({ ok: missing.length === 0, checks });
      else printChecks(checks);
      if (missing.length > 0) {
        const fix = missing.map((check) => check.fix).find((text) => text !== null);
        const message = `ablate cannot work here yet: ${missing.map((check) => check.name).join(', ')}`;
        throw new AblateError(message, fix === undefined ? {} : { fix });
      }
    });
}

function printChecks(checks: readonly Check[]): void {
  const { green, red, yellow } = styles(process.stdout);
  const width = Math.max(...checks.map((check) => check.name.length));
  for (const { name, ok, required, detail, fix } of checks) {
    const mark = ok ? green('ok     ') : required ? red('missing') : yellow('absent ');
    print(`${mark}  ${name.padEnd(width)}  ${detail}`);
    if (fix !== null) print(`${' '.repeat(width + 11)}-> ${asTyped(fix)}`);
  }
}

const oldestNode = 20;

function nodeCheck(): Check {
  const { node } = process.versions;
  const ok = Number(node.split('.')[0]) >= oldestNode;
  return {
    name: 'Node',
    required: true,
    ok,
    detail: node,
    fix: ok ? null : `install Node ${oldestNode} or newer: https://nodejs.org`,
  };
}

function platformCheck(): Check {
  const { platform, arch } = process;
  const ok = ['linux', 'darwin', 'win32'].includes(platform) && (arch === 'x64' || arch === 'arm64');
  const fix = ok ? null : 'use Linux, macOS or Windows on x64 or arm64';
  const untried = platform === 'win32' ? ', on which ablate has not been tried yet; WSL is as good as Linux' : '';
  return { name: 'platform', required: true, ok, detail: `${platform} ${arch}${untried}`, fix };
}

async function onednnChecks(hasCard: boolean): Promise<Check[]> {
  try {
    const { probeOnednn } = await import('../../engine/onednn/probe.ts');
    return checksOfOnednn(probeOnednn(), { hasCard });
  } catch (error) {
    return [
      { name: 'koffi', required: !hasCard, ok: false, detail: messageOf(error), fix: 'npm ci' },
      { name: 'oneDNN', required: !hasCard, ok: false, detail: 'not looked for: koffi does not load', fix: null },
    ];
  }
}

/**
 * koffi, the oneDNN library that it has loaded, and the instructions that the library uses here. With a graphics card to compute on, nothing
 * depends on them.
 */
export function checksOfOnednn(
  probe: OnednnProbe,
  { hasCard, arch = process.arch }: { readonly hasCard: boolean; readonly arch?: string },
): Check[] {
  const koffi = { name: 'koffi', required: !hasCard };
  const library = { name: 'oneDNN', required: !hasCard };
  const loaded = { ...koffi, ok: true, detail: 'loads', fix: null };
  if (!probe.ok) return [loaded, { ...library, ok: false, detail: probe.error ?? 'not found', fix: probe.fix ?? null }];
  const { version = 'unknown version', path = '', isa = 'unknown' } = probe;
  return [
    loaded,
    { ...library, ok: true, detail: `${version} (${path})`, fix: null },
    arch === 'x64'
      ? { name: 'instructions', required: false, ok: true, detail: `${isa}, as oneDNN uses them`, fix: null }
      : {
          name: 'instructions',
          required: false,
          ok: false,
          detail: `oneDNN is slow on ${arch}: its convolutions run on one core, without vector instructions`,
          fix: hasCard
            ? '--engine webgpu, which is taken by itself, computes on the graphics card'
            : 'use the graphics card: ablate setup --gpu',
        },
  ];
}

/** The graphics cards: that which the engine webgpu computes on first. */
async function graphicsChecks(): Promise<Check[]> {
  const { listAdapters } = await import('../../engine/webgpu/probe.ts');
  const { driverFix } = await import('../../engine/webgpu/adapter.ts');
  const graphics = { name: 'graphics', required: false };
  const answer = await listAdapters();
  if ('reason' in answer) return [{ ...graphics, ok: false, detail: answer.reason, fix: answer.fix ?? null }];
  return answer.adapters.map(({ description, backend, isSoftware, hasFloat16 }, index) => ({
    ...graphics,
    ok: !isSoftware,
    detail: [
      description + (backend === undefined ? '' : ` (${backend})`),
      ...(isSoftware ? ['computes in software'] : []),
      ...(hasFloat16 ? ['has --precision f16'] : []),
    ].join(', '),
    // A fix for the one that is computed on: others may be as slow as they like.
    fix: isSoftware && index === 0 ? driverFix : null,
  }));
}

async function coresCheck(): Promise<Check> {
  const { cpuInfo } = await import('../../util/cpu.ts');
  const { model, physicalCores, logicalCores, availableCores } = cpuInfo();
  const limited = availableCores < logicalCores ? `; this process may use ${availableCores}` : '';
  const detail = `${model}: ${physicalCores} physical, ${logicalCores} logical${limited}`;
  return { name: 'cores', required: false, ok: true, detail, fix: null };
}

async function dataChecks(): Promise<Check[]> {
  const { findCifar10 } = await import('../../data/cifar10.ts');
  const { userCacheFolder } = await import('../../util/user-cache.ts');
  const data = { name: 'CIFAR-10', required: false };
  const cache = userCacheFolder();
  const writable = isWritable(cache);
  return [
    dataCheck(),
    {
      name: 'cache',
      required: false,
      ok: writable,
      detail: writable ? cache : `${cache} cannot be written`,
      fix: writable ? null : 'set XDG_CACHE_HOME to a folder that can be written',
    },
  ];

  function dataCheck(): Check {
    try {
      const folder = findCifar10();
      if (folder !== undefined) return { ...data, ok: true, detail: folder, fix: null };
      return { ...data, ok: false, detail: 'not found; it is downloaded when it is first needed', fix: 'ablate data fetch' };
    } catch (error) {
      const fix = error instanceof AblateError ? (error.fix ?? null) : null;
      return { ...data, ok: false, detail: messageOf(error), fix };
    }
  }
}

/** Whether a folder can be written, or made in the nearest folder above it that there is. */
function isWritable(folder: string): boolean {
  let existing = folder;
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  try {
    accessSync(existing, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function gitCheck(): Check {
  const git = { name: 'git', required: false };
  try {
    const version = execFileSync('git', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return { ...git, ok: true, detail: version.trim().replace(/^git version /, ''), fix: null };
  } catch {
    return { ...git, ok: false, detail: 'not found: runs will not record the commit', fix: 'install git' };
  }
}
