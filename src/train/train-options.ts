/** What a training is given, what it tells while it goes on, and what it returns. */
import type { Collective } from '../cluster/collective.ts';
import type { Dataset } from '../data/dataset.ts';
import type { Engine } from '../engine/engine.ts';
import type { Network } from '../nn/network.ts';
import type { Run } from '../runs/run-folder.ts';
import type { Safetensors } from '../runs/safetensors.ts';
import type { AugmentationDefinition } from '../user/augmentation.ts';
import type { LoadedAugmentation } from '../user/augmentation-file.ts';
import type { Classifier, ImageShape } from './classifier.ts';
import type { TrainingConfig } from './config-schema.ts';
import type { SavedModel } from './saved-model.ts';
import type { Evaluation } from './tally.ts';
import type { Validated } from './validation-watch.ts';
import type { WeightsKind } from './weights.ts';

export interface TrainOptions {
  /** From `resolveConfig`, or `resumeConfig` for a run that is continued. */
  readonly config: TrainingConfig;
  readonly engine: Engine;
  readonly dataset: Dataset;
  /**
   * The folder of all runs: a new one is made in it, by process 0. Or the run to continue. Runs that the configuration names (to start from, as
   * a teacher) are looked for in the same folder. Without it nothing is written: what was trained is in the result.
   */
  readonly record?:
    | {
        readonly runsFolder: string;
        /** Further records of the new run, there from its beginning: JSON by the names of their files. */
        readonly files?: Readonly<Record<string, unknown>>;
      }
    | {
        readonly resume: Run;
        /** Whether the file that the configuration names as `augmentWith` counts from here on, in place of the one that the run was started with. */
        readonly newAugmentation?: boolean;
      };
  /** What a new run trains, where it is not what the configuration's model and settings make: a pruned network, or one of the caller's own. */
  readonly classifier?: Classifier;
  /** Weights to start a new run from, in place of those that the configuration names as `init`. */
  readonly initialWeights?: NamedWeights;
  /**
   * The own augmentation that the configuration names: loaded from its file, which else `train` does, or a program's, which runs in the program's own thread. One process
   * loads a file for all.
   */
  readonly augmentation?: LoadedAugmentation | AugmentationDefinition;
  /** Whether to compare the gradients of the network's custom layers with central differences first. */
  readonly checkGradients?: boolean;
  /** The processes that train together; default this one alone. */
  readonly collective?: Collective;
  /** When aborted, training saves after the step it is at and returns. */
  readonly signal?: AbortSignal;
  /** Versions of libraries beside the engine's, for the record. */
  readonly libraries?: Readonly<Record<string, string>>;
  /** Stop after so many evaluations of validation images in a row that were no better than one before; needs the key `val`. */
  readonly patience?: number;
  /** Stop after the step that is under way when so many seconds have passed. */
  readonly maxSeconds?: number;
  readonly hooks?: TrainHooks;
}

export interface NamedWeights {
  /** What to call it in errors. */
  readonly path: string;
  readonly file: Safetensors;
}

/** What is told while it happens. */
export interface TrainHooks {
  /** Once, before the first step. `run` is undefined on processes other than 0. */
  onStart?(start: TrainStart): void;
  /** After every step: keep it short. */
  onStep?(progress: TrainProgress): void;
  onEvaluation?(evaluation: WeightsEvaluation): void;
  onSave?(step: number): void;
  /** Something about a run that is continued, for the user to know. */
  onNotice?(notice: string): void;
}

export interface TrainStart {
  readonly run: Run | undefined;
  readonly network: Network;
  /** `[C, H, W]` of the images as they are stored: the network's input is cropped from them. */
  readonly imageShape: ImageShape;
  /** Steps already taken by the run that is continued, else 0. */
  readonly step: number;
  readonly steps: number;
  /** In the split of the evaluations. */
  readonly evaluatedImages: number;
  /** Bytes held by the compiled network. */
  readonly memoryBytes: number;
}

export interface TrainProgress {
  /** Steps taken. */
  readonly step: number;
  /** Mean loss of this step's batch. */
  readonly loss: number;
  /** Of all processes, over the steps since the last record; evaluation and saving left out. */
  readonly imagesPerSecond: number;
}

export interface WeightsEvaluation extends Evaluation {
  readonly step: number;
  readonly weights: WeightsKind;
}

/** Why a training ended: at its last step, for want of improvement, at its time limit, or because it was told to. */
export type WhyStopped = 'steps' | 'patience' | 'time' | 'signal';

export interface TrainResult {
  /** `interrupted` before the last step, for whatever reason: the run can be continued. */
  readonly status: 'finished' | 'interrupted';
  readonly stopped: WhyStopped;
  /** With the key `val`: the evaluation of the best weights so far. A run keeps them as its `best` checkpoint. */
  readonly best: Validated | undefined;
  readonly run: Run | undefined;
  /** Steps taken, those before a resume included. */
  readonly step: number;
  /** Mean loss over the steps since the record before the last; undefined if no step was taken. */
  readonly trainLoss: number | undefined;
  /** The last evaluation of each kind of weights that is kept. */
  readonly evaluations: readonly WeightsEvaluation[];
  /** Of all processes while stepping: evaluation and saving left out. */
  readonly imagesPerSecond: number;
  /** Of everything. */
  readonly seconds: number;
  /** What was trained, optimizer state included; undefined where a finished run was found on another process. */
  readonly saved: SavedModel | undefined;
}
