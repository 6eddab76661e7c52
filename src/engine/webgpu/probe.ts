/**
 * Which adapters there are. They are looked for in a process of its own (probe-process.ts): a driver may print what it likes, hang or crash without the
 * command noticing more than that there is nothing to compute with.
 */
import { once } from 'node:events';
import { startProcess } from '../../util/start-process.ts';
import type { EngineProbe } from '../engine.ts';
import { driverFix } from './adapter.ts';

/** An adapter, as `doctor` lists it. */
export interface ListedAdapter {
  /** With its driver: `google swiftshader-device-subzero- SwiftShader driver 5.0.0`. */
  readonly description: string;
  /** What reaches it: `vulkan`, `metal`, `d3d12`; absent if that is not known. */
  readonly backend?: string;
  readonly isSoftware: boolean;
}

/** What the process answers, in one message: the adapters, that which the engine computes on first, or why there is none. */
export type ProbeAnswer =
  | { readonly adapters: readonly ListedAdapter[] }
  | { readonly adapters: readonly []; readonly reason: string; readonly fix?: string };

/** Far above what a driver takes on a busy machine to be loaded: some seconds. */
const timeLimitMs = 30_000;

/** The adapters of this machine, that which the engine computes on first. Never throws: why there is none is in the answer. */
export async function listAdapters(limitMs = timeLimitMs): Promise<ProbeAnswer> {
  const child = startProcess(import.meta.url, 'probe-process', [], 'pipe');
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (said += text));
  const failed = (what: string): ProbeAnswer => ({
    adapters: [],
    reason: `while graphics cards were looked for, a driver ${what}`,
    fix: 'update the drivers of your graphics cards, and remove those of cards that you do not have',
  });
  const answered = new Promise<ProbeAnswer>((resolve) => {
    child.once('message', (message) => resolve(message as ProbeAnswer));
    child.once('error', ({ message }) => resolve({ adapters: [], reason: `graphics cards cannot be looked for: ${message}` }));
    child.once('exit', (code, signal) =>
      resolve(failed(`ended the process that asked it (${signal ?? `code ${String(code)}`})`)),
    );
  });
  const closed = once(child, 'close').catch(() => undefined);
  const answer = (await within(limitMs, answered)) ?? failed(`did not answer within ${limitMs / 1000} s`);
  // How it ends is of no interest: drivers may crash there as well. One that hangs in the kernel cannot be ended, nor is it waited for.
  child.kill('SIGKILL');
  await within(1000, closed);
  child.unref();
  child.stderr!.destroy();
  const refusal = refusedDriver(said);
  if (!('reason' in answer) || refusal === undefined) return answer;
  return { ...answer, reason: `${answer.reason} (found and not usable: ${refusal})` };
}

/** What a promise resolves to; undefined if it takes longer. */
async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), milliseconds)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What Dawn says of a driver that it has found and cannot use. */
function refusedDriver(said: string): string | undefined {
  return /^Warning: (.+?)\.?$/m.exec(said)?.[1];
}

/** What the choice of an engine asks. Never throws. */
export async function probeAdapter(limitMs?: number): Promise<EngineProbe> {
  const answer = await listAdapters(limitMs);
  if ('reason' in answer) {
    const { reason, fix } = answer;
    return { available: false, fast: false, reason, ...(fix !== undefined && { fix }) };
  }
  const [{ description, isSoftware }] = answer.adapters as [ListedAdapter];
  if (!isSoftware) return { available: true, fast: true, reason: `WebGPU: ${description}` };
  return { available: true, fast: false, reason: `WebGPU: ${description}, which computes in software`, fix: driverFix };
}
