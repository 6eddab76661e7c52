import type { Draw } from './draw.ts';
import type { Fixtures } from './fixtures.ts';

/** A command line with what is wrong about it. */
export interface Prepared {
  /** What is wrong, for a person. */
  readonly what: string;
  readonly args: readonly string[];
  /** It has to be refused: to accept it would be wrong, too. */
  readonly refused?: boolean;
  /** The command serves until it is told to stop. */
  readonly serves?: boolean;
  /** What the command is there to change, relative to its folder. */
  readonly mayChange?: RegExp;
}

export interface Place {
  /** Where the command runs, empty at first: the inputs go here. */
  readonly folder: string;
  readonly fixtures: Fixtures;
  readonly draw: Draw;
}

/** Makes bad input of one kind: writes the files and says the command line. */
export type Family = (place: Place) => Prepared | Promise<Prepared>;
