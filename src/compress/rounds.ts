/**
 * What compression does next, as a function of what has been measured so far: how much the next round removes, when the rounds end, and which of
 * the networks is the result. Nothing here trains or measures.
 */
import { ConfigurationError } from '../util/errors.ts';
import type { ShrinkTarget } from './prune/shrink.ts';

/** What the result must keep; at least one. All but the last are limits of size: with any of them, rounds go on until all of them are kept. */
export interface CompressTargets {
  /** Part of the original's operations, in (0, 1). */
  readonly operations?: number | undefined;
  /** Of the quantized file. */
  readonly bytes?: number | undefined;
  /** Of one image with one thread in ONNX Runtime: median. */
  readonly latencyMs?: number | undefined;
  /** On a microcontroller, as 8-bit integers (deploy/mcu): flash, with the code, RAM, and the predicted time of one image. */
  readonly flashBytes?: number | undefined;
  readonly ramBytes?: number | undefined;
  readonly deviceMs?: number | undefined;
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
  /** Where there is a target of it. */
  readonly device?: DeviceSize | undefined;
}

/** What a network takes on a microcontroller. */
export interface DeviceSize {
  readonly flashBytes: number;
  readonly ramBytes: number;
  /** Of one image, predicted; 0 if no core is named. */
  readonly deviceMs: number;
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
  const { operations, bytes, latencyMs, flashBytes, ramBytes, deviceMs, maxDrop } = targets;
  if (Object.values(targets).every((value) => value === undefined)) {
    throw new ConfigurationError('what to reach is missing', {
      fix: '--operations 0.5, --bytes 200000, --latency 0.5, --flash 64k, --ram 48k, --max-drop 1, or several of them; ablate quantize only quantizes',
    });
  }
  const check = (name: string, value: number | undefined, isAllowed: (value: number) => boolean, allowed: string) => {
    if (value !== undefined && !isAllowed(value)) throw new ConfigurationError(`${name} (=${value}) must be ${allowed}`);
  };
  const isPart = (value: number) => value > 0 && value < 1;
  check('operations', operations, isPart, 'a number in (0, 1): the part that is left');
  check('bytes', bytes, isPositiveInteger, 'a positive integer');
  check('latency', latencyMs, (value) => value > 0, 'a number above 0, in milliseconds');
  check('flash', flashBytes, isPositiveInteger, 'a positive number of bytes');
  check('ram', ramBytes, isPositiveInteger, 'a positive number of bytes');
  check('latency', deviceMs, (value) => value > 0, 'a number above 0, in milliseconds');
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
 * A weight takes one byte of the quantized file, and of flash. What else goes with a filter (a bias, a scale) takes more, so that the file becomes a
 * little smaller than it may be. The predicted time on a microcontroller goes with the operations.
 */
function enoughFor(targets: CompressTargets, original: Measured, last: Measured): ShrinkTarget | undefined {
  const { operations: part = 1, bytes = Infinity, flashBytes = Infinity, deviceMs = Infinity } = targets;
  const { device } = last;
  const operations = Math.min((part * original.operations) / last.operations, device ? deviceMs / device.deviceMs : Infinity);
  const parameters = Math.min(
    parametersWithin(bytes, last.bytes, last),
    device ? parametersWithin(flashBytes, device.flashBytes, last) : Infinity,
  );
  if (operations >= 1 && parameters >= last.parameters) return undefined;
  return { ...(operations < 1 && { operations }), ...(parameters < last.parameters && { parameters }) };
}

/** At least one: where the weights alone are not enough, what else goes with the filters may be. */
function parametersWithin(limit: number, bytes: number, { parameters }: Measured): number {
  return Math.max(1, parameters - (bytes - limit));
}

/** Whether anything but accuracy says when to stop. */
export function hasLimits(targets: CompressTargets): boolean {
  return Object.entries(targets).some(([target, limit]) => target !== 'maxDrop' && limit !== undefined);
}

/** Whether something is limited that a network takes on a microcontroller. */
export function hasDeviceLimits({ flashBytes, ramBytes, deviceMs }: CompressTargets): boolean {
  return flashBytes !== undefined || ramBytes !== undefined || deviceMs !== undefined;
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
  readonly target: keyof CompressTargets;
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
    flashBytes: network.device?.flashBytes ?? NaN,
    ramBytes: network.device?.ramBytes ?? NaN,
    deviceMs: network.device?.deviceMs ?? NaN,
    maxDrop: network.dropPoints,
  };
  return (Object.keys(values) as Reached['target'][]).flatMap((target) => {
    const limit = targets[target];
    const value = values[target];
    return limit === undefined ? [] : [{ target, limit, value, met: value <= limit }];
  });
}
