/**
 * The state of a training (parameters, optimizer, moving average, step) and how one batch moves it on. It knows nothing of files,
 * evaluation or time: train.ts does, around it.
 */
import type { Batch } from '../data/batch.ts';
import type { Collective } from '../cluster/collective.ts';
import type { TrainingPlan } from '../engine/engine.ts';
import type { Tensor } from '../runs/safetensors.ts';
import { AblateError } from '../util/errors.ts';
import type { TrainingConfig } from './config-schema.ts';
import { softmaxCrossEntropy, weightDecayLoss } from './loss.ts';
import { averageDecayAt, updateAverage } from './moving-average.ts';
import { decayedParameters, segmentsOf } from './optimizers/segments.ts';
import { createSgd } from './optimizers/sgd.ts';
import { learningRateAt } from './schedules.ts';
import { averagePrefix, loadInto, slotPrefix, tensorsOf, type WeightsKind } from './weights.ts';

/** The loss or a parameter is no longer finite. Nothing saved after the step that did it would be of use. */
export class DivergenceError extends AblateError {
  /** The step that failed: 1 is the first. */
  readonly step: number;
  /** The value that is not finite. */
  readonly what: string;

  constructor(what: string, step: number, consequence = '') {
    super(`training diverged: ${what} at step ${step}${consequence}`, {
      fix: 'Lower the learning rate, or give the schedule a warm-up',
    });
    this.step = step;
    this.what = what;
  }
}

export interface StepResult {
  /** Mean cross-entropy of the batch (of all processes), label smoothing included, before the update. */
  readonly loss: number;
  /** Whether any process asked to stop: all must stop after this step. */
  readonly stop: boolean;
}

export interface Trainer {
  /** Steps taken. */
  readonly step: number;
  /** Trains on one batch of the plan's size. Throws DivergenceError, and then the parameters are as before the step. */
  train(batch: Batch, stopRequested: boolean): Promise<StepResult>;
  /** The learning rate of the next step. */
  learningRate(): number;
  /** The weight-decay term of the loss at the current parameters; 0 for decoupled decay. */
  weightDecayLoss(): number;
  /** The weights to evaluate, in the layout of the plan's arena; undefined for averages where none are kept. */
  weights(kind: WeightsKind): Float32Array | undefined;
  /** Everything a checkpoint must hold, in plain layout. Throws DivergenceError if a parameter is not finite. */
  state(): Map<string, Tensor>;
  /** Continues from such a state. Throws DataError if it does not fit the network and configuration. */
  restore(state: ReadonlyMap<string, Tensor>, step: number, source: string): void;
  /** Makes the state of every process that of process 0. */
  synchronize(): Promise<void>;
}

/** A trainer at step 0, with the parameters that the plan has now, at which the moving average starts. */
export function createTrainer(plan: TrainingPlan, config: TrainingConfig, collective: Collective): Trainer {
  const { parameters: arena, batchSize } = plan;
  const { seed, labelSmoothing, movingAverage, weightDecay } = config;
  const average = movingAverage.type === 'none' ? undefined : arena.allocate();
  average?.set(arena.values);
  const segments = segmentsOf(arena, weightDecay, config.learningRateMultipliers);
  const optimizer = createSgd(arena, segments, config.optimizer, average);
  const decayed = decayedParameters(arena, weightDecay);
  const statistics = arena.values.subarray(arena.trainableLength, arena.length);
  const trainable = arena.entries.filter((entry) => entry.spec.kind === 'trainable');
  /** What processes tell each other each step: their loss, and whether they were asked to stop. */
  const shared = new Float32Array(2);
  const firstExample = collective.rank * batchSize;
  let step = 0;

  const learningRate = (): number => learningRateAt(config.schedule, config.learningRate, step, config.steps);

  return {
    get step() {
      return step;
    },

    async train(batch, stopRequested) {
      plan.bindInput(batch.inputs);
      plan.forward({ seed, step, firstExample });
      shared[0] = softmaxCrossEntropy(plan.output, batch.labels, labelSmoothing, plan.outputGradient);
      shared[1] = stopRequested ? 1 : 0;
      await collective.allReduceMean(shared);
      const loss = shared[0];
      const stop = shared[1] > 0;
      if (!Number.isFinite(loss)) throw new DivergenceError(`the loss is ${loss}`, step + 1);
      plan.backward();
      await collective.allReduceMean(arena.gradients);
      const averageDecay = movingAverage.type === 'none' ? 0 : averageDecayAt(movingAverage, step);
      optimizer.step(learningRate(), averageDecay);
      if (statistics.length > 0) {
        await collective.allReduceMean(statistics);
        if (average !== undefined) updateAverage(average, arena.values, arena.trainableLength, arena.length, averageDecay);
      }
      step++;
      return { loss, stop };
    },

    learningRate,
    weightDecayLoss: () => weightDecayLoss(decayed, arena.values),
    weights: (kind) => (kind === 'raw' ? arena.values : average),

    state() {
      if (!allFinite(arena.values)) throw new DivergenceError('a parameter is not finite', step);
      const tensors = tensorsOf(arena, arena.values, '');
      if (average !== undefined) merge(tensors, tensorsOf(arena, average, averagePrefix));
      for (const [slot, values] of Object.entries(optimizer.slots))
        merge(tensors, tensorsOf(arena, values, slotPrefix(slot), trainable));
      return tensors;
    },

    restore(state, restoredStep, source) {
      loadInto(arena, arena.values, state, '', source);
      if (average !== undefined) loadInto(arena, average, state, averagePrefix, source);
      for (const [slot, values] of Object.entries(optimizer.slots)) {
        loadInto(arena, values, state, slotPrefix(slot), source, trainable);
      }
      step = restoredStep;
    },

    async synchronize() {
      // A step count fits two float32 exactly, not always one.
      const steps = Float32Array.of(Math.floor(step / 65536), step % 65536);
      for (const array of [arena.values, ...(average ? [average] : []), ...Object.values(optimizer.slots), steps]) {
        await collective.broadcast(array, 0);
      }
      step = steps[0]! * 65536 + steps[1]!;
    },
  };
}

function merge(into: Map<string, Tensor>, from: ReadonlyMap<string, Tensor>): void {
  for (const [name, tensor] of from) into.set(name, tensor);
}

function allFinite(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i]!)) return false;
  return true;
}
