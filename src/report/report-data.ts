/** Everything a report says, gathered before anything is drawn or written. Accuracies are fractions, times seconds unless named otherwise. */
import type { Effect } from '../study/effects.ts';
import type { JudgedHypothesis } from '../study/hypotheses.ts';
import type { NetworkDescription } from '../nn/description.ts';
import type { EnvironmentRecord } from '../runs/environment.ts';
import type { StudyQuantization } from '../study/quantization.ts';
import type { DatasetFacts } from '../train/classifier.ts';
import type { TrainingConfig } from '../train/config-schema.ts';

/** What using a variant costs. */
export interface Cost {
  readonly parameters: number;
  /** For one image, by the study's counting rule. */
  readonly operations: number;
  /** Of the parameters, in float32; where frozen files are compared, of the file, mean over the finished runs. */
  readonly bytes: number;
  /** Mean over the finished runs. */
  readonly trainingSeconds: number | undefined;
  /** Median for one image at a time in the frozen file, with one thread of ONNX Runtime, on the machine of the report; undefined if it was not measured. */
  readonly latencyMs: number | undefined;
  /** As 8-bit integers on a microcontroller, where that was asked for and can be. */
  readonly device?: DeviceCost | undefined;
}

/** What a variant takes on a microcontroller. */
export interface DeviceCost {
  /** Weights, and an estimate of the code. */
  readonly flashBytes: number;
  /** Activations. */
  readonly ramBytes: number;
  /** Predicted milliseconds of one image, for each of the cores of the report. */
  readonly ms: readonly number[];
}

export interface ReportRun {
  /** `tuto/3`; undefined if it was never started. */
  readonly run: string | undefined;
  readonly seed: number;
  readonly state: 'finished' | 'diverged' | 'failed' | 'stopped' | 'unfinished';
  /** Why it diverged, failed or was stopped. */
  readonly reason: string | undefined;
  /** Of the last evaluation, if the run is finished; where frozen files are compared, of the file. */
  readonly accuracy: number | undefined;
  readonly loss: number | undefined;
  readonly step: number;
  readonly trainingSeconds: number | undefined;
  /** Empty for a quantized file: its network was never evaluated while it was trained. */
  readonly curve: readonly { readonly step: number; readonly accuracy: number }[];
  /** The training loss over steps, in a few points; empty for a quantized file. */
  readonly lossCurve: readonly { readonly step: number; readonly loss: number }[];
}

export interface ReportVariant {
  readonly name: string;
  readonly config: TrainingConfig;
  readonly network: NetworkDescription;
  /** Of the frozen file; undefined where files are not compared. */
  readonly quantization: StudyQuantization | undefined;
  /** Keys in which it differs from the reference, with its values. */
  readonly changes: Readonly<Record<string, string>>;
  readonly runs: readonly ReportRun[];
  /** Over the finished runs; undefined if there is none. */
  readonly accuracy: { readonly mean: number; readonly deviation: number | undefined; readonly count: number } | undefined;
  readonly cost: Cost;
  /** `[label][prediction]`, summed over the runs that recorded one; undefined if none did. */
  readonly confusion: readonly (readonly number[])[] | undefined;
}

export interface UncomparedChange extends Pick<Effect, 'name' | 'reference'> {
  /** What became of its runs. */
  readonly state: ReportRun['state'];
}

export interface ReportData {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** In words: `one change at a time`. */
  readonly design: string;
  readonly dataset: string;
  readonly synthetic: boolean;
  readonly split: 'test' | 'val';
  readonly classes: readonly string[];
  /** `[C, H, W]` of the images as they are stored. */
  readonly shape: DatasetFacts['shape'];
  readonly seeds: readonly number[];
  /** Name of the variant that figures draw the others against; undefined for searches. */
  readonly reference: string | undefined;
  readonly variants: readonly ReportVariant[];
  /** Empty for searches. */
  readonly effects: readonly Effect[];
  /** Changes of which nothing can be said, as no seed was finished with and without them. */
  readonly uncompared?: readonly UncomparedChange[];
  /** What was believed, and what the effects say of it; absent if nothing was. */
  readonly hypotheses?: readonly JudgedHypothesis[];
  /** Of the runs, each once. */
  readonly environments: readonly EnvironmentRecord[];
  /** The command that gives these results, and the file that it needs. */
  readonly command: string;
  readonly studyText: string | undefined;
  /** What the reader must know: synthetic images, missing runs, one seed. */
  readonly notes: readonly string[];
  /** How the costs were measured that were. */
  readonly costNotes: readonly string[];
  /** The cores that `device` is for: `m4@120`. */
  readonly cores?: readonly string[] | undefined;
}
