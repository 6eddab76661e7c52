/**
 * What the server of the live page and the page tell each other. Accuracies are fractions, times seconds unless named otherwise. What it imports
 * must know nothing of Node: the page is checked with it.
 */
import type { Effect } from '../../study/effects.ts';
import type { JudgedHypothesis } from '../../study/hypotheses.ts';

/** `unreadable`: damaged, or another user's. `diverged`: failed, as its loss exploded. */
export type ShownState = 'running' | 'finished' | 'failed' | 'interrupted' | 'unreadable' | 'diverged';

/** What the page knows of each run, without its curves. Keys that are not known are absent. */
export interface RunRow {
  /** `tuto/3`: its name, and how it is asked for. */
  readonly id: string;
  readonly model: string;
  readonly state: ShownState;
  /** Why it failed, was interrupted or cannot be read. */
  readonly reason?: string;
  readonly step: number;
  readonly steps: number;
  /** Of the latest evaluation. */
  readonly accuracy?: number;
  /** Of the latest record. */
  readonly trainLoss?: number;
  readonly imagesPerSecond?: number;
  /** Until its last step, evaluations included; only while it is trained. */
  readonly secondsLeft?: number;
  /** When it last said something, and when it was made: milliseconds since 1970. */
  readonly updatedMs: number;
  readonly createdMs: number;
  /** The machine that it is trained on. */
  readonly host: string;
  /** Studies that it belongs to. */
  readonly studies: readonly string[];
  /** Absent for a run whose configuration is damaged. */
  readonly choices?: RowChoices;
}

export interface RowChoices {
  readonly recipe: string;
  readonly seed: number;
  readonly dataset: string;
  readonly batchSize: number;
  /** Dotted keys that are not as the recipe has them. */
  readonly changes: Readonly<Record<string, string>>;
  /** All dotted keys. */
  readonly config: Readonly<Record<string, string>>;
  /** Of the data set's training split, where that is known. */
  readonly trainImages?: number;
  /** For one image, where the network is known. */
  readonly operations?: number;
  readonly parameters?: number;
}

/** The first thing that the page asks for. */
export interface PageState {
  /** The folder of all runs, as it was given. */
  readonly folder: string;
  /** Why the folder cannot be read. */
  readonly problem?: string;
  readonly version: string;
  /** Whether runs can be stopped from the page, by who has the token. */
  readonly control: boolean;
  /** Who can open the page: all users of the server's machine, or the network too. */
  readonly reach: 'machine' | 'network';
  readonly runs: readonly RunRow[];
  readonly studies: readonly StudySummary[];
  /** The 97.5th percentile of Student's t for 1, 2, 3, ... degrees of freedom: half widths of intervals over seeds. */
  readonly tQuantiles: readonly number[];
}

/** The header of a request that changes something. */
export const tokenHeader = 'X-Ablate-Token';

/** What the server sends by itself, as the data of events of these names. */
export interface LiveEvents {
  /** Something about runs, or which there are. */
  readonly runs: { readonly changed: readonly RunRow[]; readonly removed: readonly string[]; readonly problem?: string };
  /** Runs that have new records. */
  readonly grown: readonly string[];
  /** All studies, as something about one has changed. */
  readonly studies: readonly StudySummary[];
}

export interface CurvesRequest {
  readonly runs: readonly CurvesWanted[];
  /** Metrics, as metrics.jsonl has them. */
  readonly keys: readonly string[];
  /** Points of each curve, at most. */
  readonly most: number;
}

export interface CurvesWanted {
  readonly id: string;
  /** What is there already, by metric. */
  readonly have?: Readonly<Record<string, CurveCursor>>;
}

export interface CurveCursor {
  readonly generation: string;
  /** Records that a full point stands for. */
  readonly unit: number;
  readonly points: number;
}

/** Before the points: those of all series one behind the other, each `pointColumns` of float32. */
export interface CurvesHeader {
  readonly runs: readonly CurvesOfRun[];
}

export interface CurvesOfRun {
  readonly id: string;
  /** Metrics that there are curves of. */
  readonly keys: readonly string[];
  /** Whether there is more to read: ask again. */
  readonly more: boolean;
  readonly damagedLines: number;
  /** Why there are no curves. */
  readonly problem?: string;
  readonly series: readonly CurvePiece[];
}

export interface CurvePiece {
  readonly key: string;
  readonly generation: string;
  readonly unit: number;
  /** The point that the first of this piece replaces. */
  readonly first: number;
  readonly points: number;
  /** Whether there were values that are no finite numbers. */
  readonly hasGaps: boolean;
}

/** Columns of a point: the last step in it and the seconds of training until then; least, greatest and mean value. */
export const pointColumns = 5;

export interface StudySummary {
  readonly name: string;
  readonly title: string;
  readonly updatedMs: number;
  readonly runs: number;
  readonly finished: number;
  readonly running: number;
  /** Failed or diverged. */
  readonly failed: number;
  /** Why it cannot be shown. */
  readonly problem?: string;
}

/** Everything about a study but its curves, which are those of its runs. */
export interface StudyView extends StudySummary {
  readonly description: string;
  /** In words: `one change at a time`. */
  readonly design: string;
  readonly dataset: string;
  readonly synthetic: boolean;
  readonly split: 'test' | 'val';
  readonly seeds: readonly number[];
  /** The variant that others are drawn against; absent for searches. */
  readonly reference?: string;
  /** Whether a process works at it now. */
  readonly isRunning: boolean;
  /** Of all its runs, as many at a time as are trained now. */
  readonly secondsLeft?: number;
  readonly variants: readonly StudyVariant[];
  /** What was believed, judged by the runs that have finished. */
  readonly hypotheses: readonly JudgedHypothesis[];
  /** Over the runs that have finished; empty for searches. */
  readonly effects: readonly ShownEffect[];
  /** The command that goes on with it. */
  readonly command: string;
}

export interface StudyVariant {
  readonly name: string;
  /** Keys in which it differs from the reference. */
  readonly changes: Readonly<Record<string, string>>;
  readonly parameters: number;
  readonly operations: number;
  readonly bytes: number;
  readonly runs: readonly StudyCell[];
  /** Over the finished runs. */
  readonly accuracy?: { readonly mean: number; readonly deviation?: number | undefined; readonly count: number };
}

/** `waiting`: not started yet. */
export type CellState = ShownState | 'waiting' | 'stopped';

/** A variant with a seed. */
export interface StudyCell {
  readonly seed: number;
  /** Absent until it is started. */
  readonly id?: string;
  readonly state: CellState;
  readonly reason?: string;
  /** Final; where frozen files are compared, of the file. */
  readonly accuracy?: number;
  readonly step: number;
  readonly steps: number;
}

export interface ShownEffect extends Effect {
  readonly verdict: 'better' | 'worse' | 'unresolved' | 'one seed';
}

/** What is recorded of a run beside its curves. Absent is what is not there yet, or damaged. */
export interface RunDetails {
  readonly id: string;
  /** Its folder. */
  readonly path: string;
  /** The command that trains the same. */
  readonly command?: string;
  readonly environment?: ShownEnvironment;
  /** The last one, of every image. */
  readonly evaluation?: ShownEvaluation;
  /** By step, ascending. */
  readonly checkpoints: readonly { readonly step: number; readonly bytes: number }[];
  readonly network?: ShownNetwork;
  /** Of the first convolution, where they can be shown as pictures. */
  readonly filters?: ShownFilters;
}

export interface ShownEnvironment {
  readonly date: string;
  readonly host: string;
  readonly operatingSystem: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly threads: number;
  readonly commandLine: readonly string[];
  readonly versions: Readonly<Record<string, string>>;
  readonly git?: { readonly commit: string; readonly dirty: boolean };
}

export interface ShownEvaluation {
  readonly step: number;
  readonly split: string;
  /** `ema`: moving averages. */
  readonly weights: string;
  readonly accuracy: number;
  readonly loss: number;
  readonly images: number;
  readonly perClass: readonly { readonly label: string; readonly images: number; readonly accuracy: number }[];
  /** `[label][prediction]`: numbers of images. */
  readonly confusion: readonly (readonly number[])[];
}

export interface ShownNetwork {
  readonly parameters: number;
  /** For one image. */
  readonly operations: number;
  readonly inputShape: readonly number[];
  readonly output: string;
  readonly layers: readonly ShownLayer[];
}

export interface ShownLayer {
  readonly name: string;
  readonly kind: string;
  /** What it does, in short: `5x5, 64 filters, ReLU`. */
  readonly detail: string;
  readonly inputs: readonly string[];
  readonly shape: readonly number[];
  readonly parameters: number;
  readonly operations: number;
}

export interface ShownFilters {
  readonly layer: string;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

/** What a run's last evaluation said of some of its images. */
export interface ShownPredictions {
  /** Of the images that are asked for, all. */
  readonly total: number;
  readonly items: readonly ShownPrediction[];
}

export interface ShownPrediction {
  /** Its place in the split. */
  readonly image: number;
  readonly label: number;
  readonly prediction: number;
  readonly probability: number;
  readonly labelProbability: number;
}

/** What the layers of a network make of an image. */
export interface ShownActivations {
  readonly probabilities: readonly { readonly label: string; readonly probability: number }[];
  readonly layers: readonly ShownMaps[];
}

export interface ShownMaps {
  readonly name: string;
  readonly kind: string;
  readonly channels: number;
  /** Of the channels, the first so many are in the picture, one below the other. */
  readonly shown: number;
  readonly height: number;
  readonly width: number;
  /** In base64. */
  readonly png: string;
}

/** How long each layer takes in a training step, measured when it was asked for. */
export interface ShownLayerTimes {
  readonly batchSize: number;
  readonly threads: number;
  readonly processor: string;
  readonly layers: readonly ShownLayerTime[];
}

export interface ShownLayerTime {
  readonly layer: string;
  readonly forwardMs: number;
  readonly backwardMs: number;
}
