/**
 * How long a network takes on a processor core: a model, not a measurement. Published times of one network, MLPerf Tiny's ResNet-8 in 8-bit
 * integers, give the cycles for each multiply-add on each core; another network is taken to need as many. That is meant for
 * networks of dense 3x3 convolutions, and too little for depthwise ones and for few channels.
 */
import { ConfigurationError } from '../../util/errors.ts';
import { didYouMean } from '../../util/suggest.ts';

export interface Core {
  /** As it is called on the command line. */
  readonly name: string;
  readonly title: string;
  readonly cyclesPerMultiplyAdd: number;
  /** Of a usual device, in MHz. */
  readonly usualClockMHz: number;
}

/** From MLPerf Tiny's results for image classification (mlcommons.org/benchmarks/inference-tiny). */
export const cores: readonly Core[] = [
  { name: 'm0+', title: 'Cortex-M0+', cyclesPerMultiplyAdd: 7.8, usualClockMHz: 48 },
  { name: 'm4', title: 'Cortex-M4', cyclesPerMultiplyAdd: 1.6, usualClockMHz: 120 },
  { name: 'm33', title: 'Cortex-M33', cyclesPerMultiplyAdd: 1.4, usualClockMHz: 160 },
  { name: 'm7', title: 'Cortex-M7', cyclesPerMultiplyAdd: 1, usualClockMHz: 280 },
  { name: 'm85', title: 'Cortex-M85', cyclesPerMultiplyAdd: 0.33, usualClockMHz: 480 },
];

/** A core at a clock. */
export interface Device {
  readonly core: Core;
  readonly clockMHz: number;
}

const fastestMHz = 10_000;

/**
 * `m4` at its usual clock, `m4@168` at another, in MHz.
 *
 * @throws ConfigurationError for a core that is not known, and for a clock that there is not
 */
export function parseDevice(text: string): Device {
  const [name = '', clock, ...rest] = text.trim().toLowerCase().split('@');
  const core = cores.find((each) => each.name === name.replace(/^cortex-/, ''));
  if (core === undefined) {
    const names = cores.map((each) => each.name);
    throw new ConfigurationError(`device (=${text}) must begin with a core.${didYouMean(name, names)}`, {
      fix: `The cores are: ${names.join(', ')}; with a clock in MHz: m4@120`,
    });
  }
  const clockMHz = clock === undefined ? core.usualClockMHz : Number(clock.replace(/mhz$/, ''));
  if (rest.length > 0 || clock === '' || !(clockMHz > 0 && clockMHz <= fastestMHz)) {
    throw new ConfigurationError(
      `device (=${text}) must have a clock above 0 and at most ${fastestMHz}, in MHz: ${core.name}@120`,
    );
  }
  return { core, clockMHz };
}

/** Milliseconds for one image, by the model. */
export function predictedMs(multiplyAdds: number, { core, clockMHz }: Device): number {
  return (multiplyAdds * core.cyclesPerMultiplyAdd) / (clockMHz * 1000);
}
