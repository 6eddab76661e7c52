/**
 * Which adapters there are. They are looked for in a process of its own (probe-process.ts): a driver may print what it likes, hang or crash without the
 * command noticing more than that there is nothing to compute with.
 */
import { askProcess } from '../../util/ask-process.ts';
import type { EngineProbe } from '../engine.ts';
import { driverFix } from './adapter.ts';

/** An adapter, as `doctor` lists it. */
export interface ListedAdapter {
  /** With its driver: `google swiftshader-device-subzero- SwiftShader driver 5.0.0`. */
  readonly description: string;
  /** What reaches it: `vulkan`, `metal`, `d3d12`; absent if that is not known. */
  readonly backend?: string;
  readonly isSoftware: boolean;
  /** Whether it has `--precision f16`. */
  readonly hasFloat16: boolean;
}

/** What the process answers, in one message: the adapters, that which the engine computes on first, or why there is none. */
export type ProbeAnswer =
  | { readonly adapters: readonly ListedAdapter[] }
  | { readonly adapters: readonly []; readonly reason: string; readonly fix?: string };

/** Far above what a driver takes on a busy machine to be loaded: some seconds. */
const timeLimitMs = 30_000;

/** The adapters of this machine, that which the engine computes on first. Never throws: why there is none is in the answer. */
export async function listAdapters(limitMs = timeLimitMs): Promise<ProbeAnswer> {
  const { answer, failure = 'said nothing', said } = await askProcess<ProbeAnswer>(import.meta.url, 'probe-process', limitMs);
  const refusal = refusedDriver(said);
  const because = refusal === undefined ? '' : ` (found and not usable: ${refusal})`;
  if (answer === undefined) {
    return {
      adapters: [],
      reason: `the process that asked the drivers of graphics cards ${failure}${because}`,
      fix: 'update the drivers of your graphics cards, and remove those of cards that you do not have',
    };
  }
  return 'reason' in answer ? { ...answer, reason: answer.reason + because } : answer;
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
