/**
 * Whether so many rounds can reach the limits of size, known before anything is trained: how many filters a round removes, and how large and how
 * fast what is left is, does not depend on what is trained in between.
 */
import { ConfigurationError } from '../util/errors.ts';
import { formatBytes, formatCount, formatMilliseconds } from '../util/format.ts';
import type { Reached, RoundSettings } from './rounds.ts';

/** Rounds without their training. */
export interface Rehearsal<Network> {
  readonly original: Network;
  /** What a whole round leaves of a network; undefined if it cannot remove so much. */
  smaller(network: Network): Network | undefined;
  /** Limits of bytes, of latency, and on a microcontroller, that a network does not keep. One filter in every layer keeps all but those of latency. */
  missedBy(network: Network): Promise<readonly Reached[]>;
}

/** Latencies vary: one that is above the limit by less than this factor may be within it when it counts. */
const latencyVaries = 1.25;

/**
 * @param missed limits that a network with one filter in every layer does not keep
 * @throws ConfigurationError if there are any whose values do not vary
 */
export function requireWithinReach(missed: readonly Reached[]): void {
  const certain = missed.filter((each) => !isLatency(each));
  if (certain.length === 0) return;
  const least = certain.map(({ target, limit, value }) => {
    const [option] = words[target];
    return `${option} (=${limit}) must be at least ${roundedUp(value)}: that is with one filter in every layer`;
  });
  throw new ConfigurationError(least.join('\n'));
}

/** A number of bytes as it is, milliseconds to three digits. */
function roundedUp(value: number): number {
  const digits = 10 ** Math.max(0, 2 - Math.floor(Math.log10(value)));
  return Math.ceil(value * digits) / digits;
}

/** @throws ConfigurationError if the rounds are too few, with the number of rounds that would be enough, if there is one */
export async function requireEnoughRounds<Network>(settings: RoundSettings, rehearsal: Rehearsal<Network>): Promise<void> {
  const { network, round } = afterRounds(settings.rounds, rehearsal);
  const missed = await rehearsal.missedBy(network);
  const isLast = round < settings.rounds;
  const outOfReach = missed.filter((each) => {
    if (isLatency(each)) return each.value > latencyVaries * each.limit;
    // Less than a whole round, which there still is then, leads to the other limits, and may lead to that of RAM.
    return !isLast || (isRam(each) && missed.every((other) => isRam(other) || isLatency(other)));
  });
  if (outOfReach.length === 0) return;
  const left = `${settings.shrink} of the operations in each of ${round} rounds leave`;
  const needed = await roundsNeeded(network, round, missed, rehearsal);
  throw new ConfigurationError(outOfReach.map((each) => describe(each, left)).join('\n'), {
    fix: needed === undefined ? 'ask for less, or start from a smaller network' : `--rounds ${needed}, or a smaller --shrink`,
  });
}

function isLatency({ target }: Reached): boolean {
  return target === 'latencyMs';
}

function isRam({ target }: Reached): boolean {
  return target === 'ramBytes';
}

/** As many rounds as asked for, or as can be. */
function afterRounds<Network>(rounds: number, { original, smaller }: Rehearsal<Network>) {
  let network = original;
  for (let round = 0; round < rounds; round++) {
    const next = smaller(network);
    if (next === undefined) return { network, round };
    network = next;
  }
  return { network, round: rounds };
}

/** Undefined if no number is enough. */
async function roundsNeeded<Network>(
  network: Network,
  round: number,
  missed: readonly Reached[],
  rehearsal: Rehearsal<Network>,
): Promise<number | undefined> {
  if (missed.length === 0) return round;
  const next = rehearsal.smaller(network);
  // Weights and operations say how much less than a whole round is enough; neither RAM nor a latency does.
  if (next === undefined) return missed.some((each) => isLatency(each) || isRam(each)) ? undefined : round + 1;
  return await roundsNeeded(next, round + 1, await rehearsal.missedBy(next), rehearsal);
}

/** A file of so many bytes; so many milliseconds. */
const words: Readonly<Record<Reached['target'], readonly [option: string, left: (value: number) => string]>> = {
  operations: ['operations', String],
  bytes: ['bytes', (value) => `a file of ${formatCount(value)}`],
  latencyMs: ['latency', formatMilliseconds],
  flashBytes: ['flash', (value) => `${formatBytes(value)} of flash`],
  ramBytes: ['ram', (value) => `${formatBytes(value)} of RAM`],
  deviceMs: ['latency', (value) => `${formatMilliseconds(value)} on the microcontroller`],
  maxDrop: ['max-drop', String],
};

function describe({ target, limit, value }: Reached, left: string): string {
  const [option, what] = words[target];
  return `${option} (=${limit}) is out of reach: ${left} ${what(value)}`;
}
