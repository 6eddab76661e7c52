/**
 * How long a network takes on a processor core: a model, not a measurement. The instructions of its C code (instructions.ts) times the cycles
 * that the core takes for one on average, from memory that makes it wait for nothing.
 */
import { ConfigurationError } from '../../util/errors.ts';
import { didYouMean } from '../../util/suggest.ts';
import type { InstructionSet } from './instructions.ts';

export interface Core {
  /** As it is called on the command line. */
  readonly name: string;
  readonly title: string;
  /** What the C code is compiled to. */
  readonly instructionSet: InstructionSet;
  readonly cyclesPerInstruction: number;
  /** Of a usual device, in MHz. */
  readonly usualClockMHz: number;
}

/**
 * Cycles for an instruction, on average over this code. Cortex-M4: an estimate by the instruction timings of Arm's Technical Reference Manual (DDI 0439: 1 for
 * most, 2 for the first load of several, 3 for a branch that is taken), about 31 for the 25 instructions of the loop that multiplies. Cortex-M33, M7
 * and M85: that, divided by how much more than the M4 they do in a cycle, by Arm's CoreMark/MHz of 3.42, 4.02, 5.01 and 6.28. Cortex-M0+ (DDI 0484):
 * an estimate too, from 2 for loads, stores and branches that are taken, 1 for the rest, with the multiplier of one cycle. The C code does not use
 * the M85's Helium, unless a compiler makes vectors of its loops.
 */
export const cores: readonly Core[] = [
  { name: 'm0+', title: 'Cortex-M0+', instructionSet: 'thumb1', cyclesPerInstruction: 1.4, usualClockMHz: 48 },
  { name: 'm4', title: 'Cortex-M4', instructionSet: 'dsp', cyclesPerInstruction: 1.25, usualClockMHz: 120 },
  { name: 'm33', title: 'Cortex-M33', instructionSet: 'dsp', cyclesPerInstruction: 1.05, usualClockMHz: 160 },
  { name: 'm7', title: 'Cortex-M7', instructionSet: 'dsp', cyclesPerInstruction: 0.85, usualClockMHz: 280 },
  { name: 'm85', title: 'Cortex-M85', instructionSet: 'plain', cyclesPerInstruction: 0.7, usualClockMHz: 480 },
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

/** Milliseconds for so many instructions, by the model. */
export function predictedMs(instructions: number, { core, clockMHz }: Device): number {
  return (instructions * core.cyclesPerInstruction) / (clockMHz * 1000);
}
