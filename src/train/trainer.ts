/**
 * The state of a training (parameters, optimizer, moving average, step) and how one batch moves it on. It knows nothing of files,
 * evaluation or time: train.ts does, around it.
 */
import type { Batch } from '../data/batch.ts';
import type { Collective } from '../cluster/collective.ts';
import type { ArenaEntry, TrainingPlan } from '../engine/engine.ts';
import { checkpointWeights } from '../runs/checkpoint.ts';
import type { Tensor } from '../runs/safetensors.ts';
import { AblateError } from '../util/errors.ts';
import type { TrainingConfig } from './config-schema.ts';
import { addDistillation, softmaxCrossEntropy, weightDecayLoss } from './loss.ts';
import { createLookahead, lookaheadSlot } from './lookahead.ts';
import { magnitudeMasks, sparsityOfRound } from './magnitude-pruning.ts';
import { createMasks, hasMasks, maskPrefix, prunableEntries, requireMasks, type Masks } from './masks.ts';
import { averageDecayAt } from './moving-average.ts';
import { meanLossLearningRate } from './optimizers/decoupling.ts';
import { createOptimizer } from './optimizers/registry.ts';
import { trainableEntries } from './optimizers/segments.ts';
import { learningRateAt, scaledLearningRate } from './schedules.ts';
import type { Teacher } from './teacher.ts';
import { averagePrefix, loadInto, slotPrefix, tensorsOf, type WeightsKind } from './weights.ts';

/**
 * A mean loss from which no training comes back: about the distance between two logits. What follows such a step is a network whose
 * ReLUs are dead, of ln(classes), or a number that is none.
 */
const hopelessLoss = 1e6;

/** The loss has exploded, or a parameter is no longer finite. Nothing saved after the step that did it would be of use. */
export class DivergenceError extends AblateError {
  /** The step that failed: 1 is the first. */
  readonly step: number;
  /** The value that is beyond hope. */
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
  /** Mean loss of the batch (of all processes), label smoothing and the teacher's part included, before the update. */
  readonly loss: number;
  /** Whether any process asked to stop: all must stop after this step. */
  readonly stop: boolean;
}

export interface Trainer {
  /** Steps taken. */
  readonly step: number;
  /**
   * Trains on one batch of the plan's size. Throws DivergenceError if the loss explodes: the optimizer has not stepped then, but running
   * statistics have moved on and weights may have been pruned, so the trainer is of no further use.
   */
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
  /** Which weights are pruned, in the layout of the plan's arena (0 for pruned ones); undefined if none ever was. */
  masks(): Float32Array | undefined;
  /** Takes over the masks in a checkpoint's tensors, if there are any: weights pruned there are zero from now on. Throws DataError. */
  takeMasks(tensors: ReadonlyMap<string, Tensor>, source: string): void;
  /** Takes the weights in a checkpoint's tensors, as trained, for those that pruning goes back to. Throws DataError. */
  takeRewind(tensors: ReadonlyMap<string, Tensor>, source: string): void;
  /** Makes the state of every process that of process 0. */
  synchronize(): void;
}

/** An array of state beside the parameters: saved, restored, told to the other processes and pruned with them. */
interface Slot {
  /** Of its tensors in a checkpoint. */
  readonly prefix: string;
  /** In the arena's layout. */
  readonly values: Float32Array;
  /** The parameters that it has values for. */
  readonly entries: readonly ArenaEntry[];
  /** Where a round of pruning starts over: at the weights, at zero, or `kept` as it is, pruned weights too. */
  readonly startsOver: 'weights' | 'zero' | 'kept';
}

/** The name of the weights that pruning goes back to in checkpoints, beside the optimizer's slots. */
const rewindSlot = 'rewind';

/**
 * A trainer at step 0, with the parameters that the plan has now, at which the moving average and the slow weights start.
 *
 * Each process computes the gradient of its part of the batch, divided by the whole batch's size, so that their sum over the processes
 * is the gradient of the mean loss. It is summed part by part while the backward pass goes on.
 *
 * With pruning, the first step of each round begins by pruning: from equal weights every process prunes the same ones.
 *
 * @param teacher made for batches of the plan's size, if the configuration has one
 */
export function createTrainer(plan: TrainingPlan, config: TrainingConfig, collective: Collective, teacher?: Teacher): Trainer {
  const { parameters: arena, batchSize } = plan;
  const { seed, labelSmoothing, movingAverage, pruning, teacherWeight, teacherTemperature } = config;
  const average = movingAverage.type === 'none' ? undefined : arena.allocate();
  average?.set(arena.values);
  const lookahead = config.lookahead.type === 'none' ? undefined : createLookahead(arena, config.lookahead);
  const optimizer = createOptimizer({ plan, rules: config }, config.optimizer);
  const { batchSize: wholeBatchSize, learningRateScaling } = config;
  const roundSteps = pruning.type === 'none' ? config.steps : config.steps / pruning.rounds;
  const startsOver = pruning.type !== 'none' && pruning.rewind !== 'none';
  /** Steps over which schedules go: those of the run, or of each round. */
  const steps = startsOver ? roundSteps : config.steps;
  const meanLossRate = { learningRate: meanLossLearningRate(config), batchSize: wholeBatchSize, steps };
  const prunable = prunableEntries(arena);
  let masks: Masks | undefined;
  const rewind = startsOver && pruning.rewind !== 'rate' ? arena.allocate() : undefined;
  rewind?.set(arena.values);
  const statistics = arena.values.subarray(arena.trainableLength, arena.length);
  const followWeights = average && plan.vectorMath.approach(arena.values, average);
  const { entries } = arena;
  const slots: Slot[] = [];
  if (average !== undefined) slots.push({ prefix: averagePrefix, values: average, entries, startsOver: 'weights' });
  for (const [name, values] of Object.entries(optimizer.slots)) {
    slots.push({ prefix: slotPrefix(name), values, entries: trainableEntries(arena), startsOver: 'zero' });
  }
  if (lookahead !== undefined) {
    slots.push({ prefix: slotPrefix(lookaheadSlot), values: lookahead.slow, entries, startsOver: 'weights' });
  }
  if (rewind !== undefined) slots.push({ prefix: slotPrefix(rewindSlot), values: rewind, entries, startsOver: 'kept' });
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
    const peak = scaledLearningRate(learningRateScaling, meanLossRate, step % steps);
    return learningRateAt(config.schedule, peak, step % steps, steps);
  };

  /** Of what is trained for a part of the run: the schedule goes over that part, or over the whole run. */
  const earlyLearningRate = (): number => {
    const part = config.trainWhiteningBias * steps;
    const scheduled = step % steps;
    if (config.whiteningBiasSchedule === 'run' || scheduled >= part) return learningRate();
    const peak = scaledLearningRate(learningRateScaling, meanLossRate, scheduled);
    return learningRateAt(config.schedule, peak, scheduled, part);
  };

  function prune(): void {
    if (pruning.type === 'none') return;
    const weights = prunable.map((entry) => ({
      name: entry.spec.name,
      values: arena.read(entry, arena.values),
      ...(masks !== undefined && { mask: arena.read(entry, masks.values) }),
    }));
    const chosen = magnitudeMasks(weights, sparsityOfRound(pruning, step / roundSteps), pruning.scope);
    masks ??= createMasks(plan);
    for (const entry of prunable) arena.write(entry, chosen.get(entry.spec.name)!, masks.values);
    if (rewind !== undefined) arena.values.set(rewind);
    if (startsOver) {
      for (const { values, startsOver: from } of slots) {
        if (from === 'weights') values.set(arena.values);
        if (from === 'zero') values.fill(0);
      }
    }
    clearPruned();
  }

  function clearPruned(): void {
    masks?.clear(arena.values);
    for (const { values, startsOver: from } of slots) if (from !== 'kept') masks?.clear(values);
  }

  function takeMasks(tensors: ReadonlyMap<string, Tensor>, source: string): void {
    if (!hasMasks(tensors)) return;
    requireMasks(tensors, source);
    masks ??= createMasks(plan);
    loadInto(arena, masks.values, tensors, maskPrefix, source, prunable);
    clearPruned();
  }

  return {
    get step() {
      return step;
    },

    train(batch, stopRequested) {
      if (step % roundSteps === 0) prune();
      plan.bindInput(batch.inputs);
      plan.forward({ seed, step, firstExample });
      const wholeBatch = batchSize * collective.worldSize;
      const { output, outputGradient } = plan;
      let ownLoss = softmaxCrossEntropy(output, batch.labels, labelSmoothing, outputGradient, wholeBatch, batch.mixed);
      if (teacher !== undefined) {
        const distillation = {
          weight: teacherWeight,
          temperature: teacherTemperature,
          teacherLogits: teacher.logits(batch.inputs),
        };
        ownLoss = addDistillation(output, ownLoss, distillation, outputGradient, batchSize, wholeBatch);
      }
      shared[0] = ownLoss;
      shared[1] = stopRequested ? 1 : 0;
      sharedSum.advance(0);
      statisticsSum.advance(0);
      plan.backward(gradientsSum.advance);
      sharedSum.finish();
      statisticsSum.finish();
      gradientsSum.finish();
      const [loss, stopRequests] = shared as unknown as readonly [number, number];
      if (!(loss < hopelessLoss)) throw new DivergenceError(`the loss is ${Number(loss.toPrecision(3))}`, step + 1);
      masks?.maskGradients();
      const scheduled = step % steps;
      const averageDecay = movingAverage.type === 'none' ? 0 : averageDecayAt(movingAverage, scheduled);
      optimizer.step(learningRate(), scheduled, steps, earlyLearningRate());
      if (optimizer.mixesWeights === true) masks?.clear(arena.values);
      divide(statistics, collective.worldSize);
      followWeights?.(1 - averageDecay);
      step++;
      lookahead?.update(scheduled + 1, steps);
      return { loss, stop: stopRequests > 0 };
    },

    learningRate,
    weightDecayLoss: () => weightDecayLoss(optimizer.decayed, arena.values),
    weights: (kind) => (kind === 'raw' ? arena.values : average),
    masks: () => masks?.values,
    takeMasks,

    takeRewind(tensors, source) {
      if (rewind !== undefined) loadInto(arena, rewind, checkpointWeights({ tensors }, 'raw', source), '', source);
    },

    state() {
      if (!allFinite(arena.values)) throw new DivergenceError('a parameter is not finite', step);
      const tensors = tensorsOf(arena, arena.values, '');
      for (const slot of slots) merge(tensors, tensorsOf(arena, slot.values, slot.prefix, slot.entries));
      if (masks !== undefined) merge(tensors, tensorsOf(arena, masks.values, maskPrefix, prunable));
      return tensors;
    },

    restore(state, restoredStep, source) {
      loadInto(arena, arena.values, state, '', source);
      for (const slot of slots) loadInto(arena, slot.values, state, slot.prefix, source, slot.entries);
      takeMasks(state, source);
      step = restoredStep;
    },

    synchronize() {
      const broadcast = (array: Float32Array | Float64Array): void =>
        collective.broadcast(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
      const known = Float64Array.of(step, masks === undefined ? 0 : 1);
      for (const array of [arena.values, ...slots.map(({ values }) => values), known]) broadcast(array);
      const [taken, masked] = known as unknown as readonly [number, number];
      step = taken;
      if (masked === 0) return;
      masks ??= createMasks(plan);
      broadcast(masks.values);
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
