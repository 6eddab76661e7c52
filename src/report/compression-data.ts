/** Everything that the report of a compression says, gathered before anything is drawn or written: `compress.json`. */
import type { Compressed } from '../compress/pipeline.ts';
import type { CompressTargets } from '../compress/rounds.ts';
import type { EnvironmentRecord } from '../runs/environment.ts';

export interface CompressionData extends Omit<Compressed, 'file' | 'runs'> {
  /** Where the result was written. */
  readonly file: string;
  /** SHA-256 of what was written there. */
  readonly fileChecksum: string;
  readonly model: string;
  /** The original: a run or a file. */
  readonly source: string;
  /** Whether the original was trained without the validation images. */
  readonly sourceHeldOut: boolean;
  readonly dataset: string;
  readonly synthetic: boolean;
  readonly limits: CompressTargets;
  /** The core for which a time is predicted: `m4@120`. */
  readonly device?: string | undefined;
  /** Of training in each round. */
  readonly steps: number;
  /** Part of the operations that a whole round leaves. */
  readonly shrink: number;
  readonly seed: number;
  /** The command that gives these results. */
  readonly command: string;
  /** Of the rounds' trainings, each once. */
  readonly trainingEnvironments: readonly EnvironmentRecord[];
  /** Of what was measured. */
  readonly environment: EnvironmentRecord;
}
