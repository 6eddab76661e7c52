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
import { createLookahead, lookaheadSlot } from './lookahead.ts';
import { averageDecayAt } from './moving-average.ts';
import { meanLossLearningRate } from './optimizers/decoupling.ts';
import { decayedParameters, segmentsOf } from './optimizers/segments.ts';
import { createSgd } from './optimizers/sgd.ts';
import { learningRateAt, scaledLearningRate } from './schedules.ts';
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
  train(batch: Batch, stopRequested: boolean): StepResult;
  /** The learning rate of the next step, for the gradient of the mean loss. */
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
  synchronize(): void;
}

/**
 * A trainer at step 0, with the parameters that the plan has now, at which the moving average and the slow weights start.
 *
 * Each process computes the gradient of its part of the batch, divided by the whole batch's size, so that their sum over the processes
 * is the gradient of the mean loss. It is summed part by part while the backward pass goes on.
 */
export function createTrainer(plan: TrainingPlan, config: TrainingConfig, collective: Collective): Trainer {
  const { parameters: arena, batchSize } = plan;
  const { seed, labelSmoothing, movingAverage } = config;
  const average = movingAverage.type === 'none' ? undefined : arena.allocate();
  average?.set(arena.values);
  const lookahead = config.lookahead.type === 'none' ? undefined : createLookahead(arena, config.lookahead);
  const optimizer = createSgd(plan, segmentsOf(arena, config), config.optimizer, average);
  const decayed = decayedParameters(arena, config);
  const { batchSize: wholeBatchSize, steps, learningRateScaling } = config;
  const meanLossRate = { learningRate: meanLossLearningRate(config), batchSize: wholeBatchSize, steps };
  const statistics = arena.values.subarray(arena.trainableLength, arena.length);
  const followStatistics = average && plan.vectorMath.approach(statistics, average.subarray(arena.trainableLength, arena.length));
  const trainable = arena.entries.filter((entry) => entry.spec.kind === 'trainable');
  /** What processes tell each other each step: their share of the loss, and whether they were asked to stop. */
  const shared = new Float64Array(new ArrayBuffer(16));
  const sharedSum = collective.backgroundSum(shared);
  const statisticsSum = collective.backgroundSum(statistics);
  const gradientsSum = collective.backgroundSum(arena.gradients.subarray(0, arena.trainableLength), {
    boundaries: arena.entries.map(({ offset }) => offset),
    precision: config.gradientPrecision,
  });
  const firstExample = collective.rank * batchSize;
  let step = 0;

  const learningRate = (): number => {
    const peak = scaledLearningRate(learningRateScaling, meanLossRate, step);
    return learningRateAt(config.schedule, peak, step, steps);
  };

  return {
    get step() {
      return step;
    },

    train(batch, stopRequested) {
      plan.bindInput(batch.inputs);
      plan.forward({ seed, step, firstExample });
      const wholeBatch = batchSize * collective.worldSize;
      shared[0] = softmaxCrossEntropy(plan.output, batch.labels, labelSmoothing, plan.outputGradient, wholeBatch);
      shared[1] = stopRequested ? 1 : 0;
      sharedSum.advance(0);
      statisticsSum.advance(0);
      plan.backward(gradientsSum.advance);
      sharedSum.finish();
      statisticsSum.finish();
      gradientsSum.finish();
      const [loss, stopRequests] = shared as unknown as readonly [number, number];
      if (!Number.isFinite(loss)) throw new DivergenceError(`the loss is ${loss}`, step + 1);
      const averageDecay = movingAverage.type === 'none' ? 0 : averageDecayAt(movingAverage, step);
      optimizer.step(learningRate(), averageDecay, step / steps);
      if (statistics.length > 0) {
        divide(statistics, collective.worldSize);
        followStatistics?.(1 - averageDecay);
      }
      step++;
      lookahead?.update(step, steps);
      return { loss, stop: stopRequests > 0 };
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
      if (lookahead !== undefined) merge(tensors, tensorsOf(arena, lookahead.slow, slotPrefix(lookaheadSlot)));
      return tensors;
    },

    restore(state, restoredStep, source) {
      loadInto(arena, arena.values, state, '', source);
      if (average !== undefined) loadInto(arena, average, state, averagePrefix, source);
      for (const [slot, values] of Object.entries(optimizer.slots)) {
        loadInto(arena, values, state, slotPrefix(slot), source, trainable);
      }
      if (lookahead !== undefined) loadInto(arena, lookahead.slow, state, slotPrefix(lookaheadSlot), source);
      step = restoredStep;
    },

    synchronize() {
      const taken = Float64Array.of(step);
      const averages = [average, lookahead?.slow].filter((array) => array !== undefined);
      for (const array of [arena.values, ...averages, ...Object.values(optimizer.slots), taken]) {
        collective.broadcast(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
      }
      step = taken[0]!;
    },
  };
}

function merge(into: Map<string, Tensor>, from: ReadonlyMap<string, Tensor>): void {
  for (const [name, tensor] of from) into.set(name, tensor);
}

function divide(values: Float32Array, divisor: number): void {
  for (let i = 0; i < values.length; i++) values[i] = values[i]! / divisor;
}

function allFinite(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i]!)) return false;
  return true;
}
