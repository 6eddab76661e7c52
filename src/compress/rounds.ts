/**
 * What compression does next, as a function of what has been measured so far: how much the next round removes, when the rounds end, and which of
 * the networks is the result. Nothing here trains or measures.
 */
import { ConfigurationError } from '../util/errors.ts';
import type { ShrinkTarget } from './prune/shrink.ts';

/** What the result must keep; at least one. The first three are limits of size: with any of them, rounds go on until all of them are kept. */
export interface CompressTargets {
  /** Part of the original's operations, in (0, 1). */
  readonly operations?: number | undefined;
  /** Of the quantized file. */
  readonly bytes?: number | undefined;
  /** Of one image with one thread in ONNX Runtime: median. */
  readonly latencyMs?: number | undefined;
  /** Accuracy of the original in float32 less that of the quantized network, in points, on validation images. */
  readonly maxDrop?: number | undefined;
}

export interface RoundSettings {
  /** Part of the operations of the round before that a whole round leaves, in (0, 1). */
  readonly shrink: number;
  /** At most. */
  readonly rounds: number;
}

/** Where nobody says other ones. */
export const defaultRounds: RoundSettings = { shrink: 0.7, rounds: 8 };

/** A quantized network, as far as it decides anything. */
export interface Measured {
  readonly parameters: number;
  readonly operations: number;
  readonly bytes: number;
  readonly latencyMs: number;
  readonly dropPoints: number;
}

/** The original, only quantized, and what each round has left of it. */
export type MeasuredRounds = readonly [Measured, ...Measured[]];

/** `limits`: all limits of size are kept. `drop`: the last round costs too much accuracy. `smallest`: no filter can go any more. */
export type StopReason = 'limits' | 'drop' | 'rounds' | 'smallest';

export type NextRound =
  | { readonly type: 'stop'; readonly reason: Exclude<StopReason, 'smallest'> }
  | {
      readonly type: 'shrink';
      /** What a whole round leaves, of the network as it is now. */
      readonly whole: ShrinkTarget;
      /** What is enough for the limits; to be taken where it leaves more than a whole round. Undefined if that is not known. */
      readonly enough: ShrinkTarget | undefined;
    };

/** @throws ConfigurationError for a value out of range, if no target is given, and for fewer rounds than it takes */
export function requireTargets(targets: CompressTargets, { shrink, rounds }: RoundSettings): void {
  const { operations, bytes, latencyMs, maxDrop } = targets;
  if (Object.values(targets).every((value) => value === undefined)) {
    throw new ConfigurationError('what to reach is missing', {
      fix: '--operations 0.5, --bytes 200000, --latency 0.5, --max-drop 1, or several of them; ablate quantize only quantizes',
    });
  }
  const check = (name: string, value: number | undefined, isAllowed: (value: number) => boolean, allowed: string) => {
    if (value !== undefined && !isAllowed(value)) throw new ConfigurationError(`${name} (=${value}) must be ${allowed}`);
  };
  const isPart = (value: number) => value > 0 && value < 1;
  check('operations', operations, isPart, 'a number in (0, 1): the part that is left');
  check('bytes', bytes, isPositiveInteger, 'a positive integer');
  check('latency', latencyMs, (value) => value > 0, 'a number above 0, in milliseconds');
  check('max-drop', maxDrop, (value) => value >= 0, 'a number of at least 0, in points');
  check('shrink', shrink, isPart, 'a number in (0, 1): the part of the operations that a round leaves');
  check('rounds', rounds, isPositiveInteger, 'a positive integer');
  if (operations === undefined) return;
  const needed = Math.ceil(Math.log(operations) / Math.log(shrink) - 1e-9);
  if (rounds >= needed) return;
  throw new ConfigurationError(
    `operations (=${operations}) is out of reach: ${shrink} of the operations in each of ${rounds} rounds leave ${(shrink ** rounds).toPrecision(3)}`,
    { fix: `--rounds ${needed}, or a smaller --shrink` },
  );
}

function isPositiveInteger(value: number): boolean {
  return Number.isInteger(value) && value > 0;
}

/** @throws ConfigurationError for a file smaller than what it takes without any weights */
export function nextRound(targets: CompressTargets, { shrink, rounds }: RoundSettings, measured: MeasuredRounds): NextRound {
  const [original] = measured;
  const last = measured.at(-1)!;
  const done = measured.length - 1;
  if (hasLimits(targets)) {
    if (keepsLimits(targets, original, last)) return { type: 'stop', reason: 'limits' };
  } else if (done > 0 && last.dropPoints > targets.maxDrop!) {
    return { type: 'stop', reason: 'drop' };
  }
  if (done >= rounds) return { type: 'stop', reason: 'rounds' };
  return { type: 'shrink', whole: { operations: shrink }, enough: enoughFor(targets, original, last) };
}

/**
 * A weight takes one byte of the quantized file. What else goes with a filter (a bias, a scale) takes more, so that the file becomes a little
 * smaller than it may be.
 */
function enoughFor(targets: CompressTargets, original: Measured, last: Measured): ShrinkTarget | undefined {
  const { operations: part = 1, bytes = Infinity } = targets;
  const operations = (part * original.operations) / last.operations;
  const parameters = last.parameters - (last.bytes - bytes);
  if (parameters < 1) {
    throw new ConfigurationError(
      `bytes (=${bytes}) must be above ${last.bytes - last.parameters}: that is what the file takes without any weights`,
    );
  }
  if (operations >= 1 && parameters >= last.parameters) return undefined;
  return { ...(operations < 1 && { operations }), ...(parameters < last.parameters && { parameters }) };
}

/** Whether anything but accuracy says when to stop. */
export function hasLimits({ operations, bytes, latencyMs }: CompressTargets): boolean {
  return operations !== undefined || bytes !== undefined || latencyMs !== undefined;
}

export function keepsLimits(targets: CompressTargets, original: Measured, network: Measured): boolean {
  return reachedBy({ ...targets, maxDrop: undefined }, original, network).every(({ met }) => met);
}

/**
 * Which network is the result: with limits of size the last one, else the last that keeps the drop.
 *
 * @returns its position; undefined if none keeps the drop
 */
export function resultOf(targets: CompressTargets, measured: MeasuredRounds): number | undefined {
  if (hasLimits(targets)) return measured.length - 1;
  const position = measured.findLastIndex(({ dropPoints }) => dropPoints <= targets.maxDrop!);
  return position < 0 ? undefined : position;
}

export interface Reached {
  readonly target: 'operations' | 'bytes' | 'latencyMs' | 'maxDrop';
  readonly limit: number;
  readonly value: number;
  readonly met: boolean;
}

/** How a network stands to each target that is given. */
export function reachedBy(targets: CompressTargets, original: Measured, network: Measured): Reached[] {
  const values: Readonly<Record<Reached['target'], number>> = {
    operations: network.operations / original.operations,
    bytes: network.bytes,
    latencyMs: network.latencyMs,
    maxDrop: network.dropPoints,
  };
  return (Object.keys(values) as Reached['target'][]).flatMap((target) => {
    const limit = targets[target];
    const value = values[target];
    return limit === undefined ? [] : [{ target, limit, value, met: value <= limit }];
  });
}
