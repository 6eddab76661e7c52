/**
 * The state of a training (parameters, optimizer, moving average, step) and how one batch moves it on. It knows nothing of files,
 * evaluation or time: train.ts does, around it.
 */
import type { Batch } from '../data/batch.ts';
import type { Collective } from '../cluster/collective.ts';
import type { ArenaEntry, DeviceArray, LossScale, Precision, TrainingOptions, TrainingPlan } from '../engine/engine.ts';
import { checkpointWeights } from '../runs/checkpoint-weights.ts';
import type { Tensor } from '../runs/safetensors.ts';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import type { TrainingConfig } from './config-schema.ts';
import { createLookahead, lookaheadSlot } from './lookahead.ts';
import { lossScaleIn, lossScaleTensor } from './loss-scale.ts';
import { magnitudeMasks, sparsityOfRound } from './magnitude-pruning.ts';
import { createMasks, hasMasks, maskPrefix, prunableEntries, requireMasks, type Masks } from './masks.ts';
import { averageDecayAt } from './moving-average.ts';
import { meanLossLearningRate } from './optimizers/decoupling.ts';
import { createOptimizer } from './optimizers/registry.ts';
import { trainableEntries } from './optimizers/segments.ts';
import { learningRateAt, scaledLearningRate } from './schedules.ts';
import type { Teacher } from './teacher.ts';
import { createWeightDecayLoss } from './weight-decay-loss.ts';
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

  readonly precision: Precision;

  constructor(what: string, step: number, precision: Precision, consequence = '') {
    // Float16 ends at 65,504.
    const wider = precision === 'f16' ? ', or compute in more than float16: --precision f32' : '';
    super(`training diverged: ${what} at step ${step}${consequence}`, {
      fix: `Lower the learning rate, or give the schedule a warm-up${wider}`,
    });
    this.step = step;
    this.what = what;
    this.precision = precision;
  }
}

export interface Trainer {
  /** Steps taken. */
  readonly step: number;
  /**
   * Trains on one batch of the plan's size, which must stay as it is until the promise has resolved. The step is enqueued: its loss is told
   * by `losses`, which is to be called after the plan's `stepsInFlight` steps at the latest.
   *
   * @returns whether any process asked to stop: all must stop after this step
   */
  train(batch: Batch, stopRequested: boolean): Promise<boolean>;
  /**
   * The mean losses of the steps since the last call, of all processes: label smoothing and the teacher's part included, before the update. Throws
   * DivergenceError if one of them is beyond hope: the trainer is of no further use then.
   */
  losses(): Promise<Float64Array>;
  /** The learning rate of the next step, for the gradient of the mean loss. */
  learningRate(): number;
  /** The weight-decay term of the loss at the current parameters; 0 for decoupled decay. */
  weightDecayLoss(): Promise<number>;
  /** Where the plan scales the loss, the scale after all steps. Throws DivergenceError if no scale keeps gradients from overflowing. */
  lossScale(): Promise<LossScale | undefined>;
  /** The weights to evaluate, in the layout of the plan's arena; undefined for averages where none are kept. */
  weights(kind: WeightsKind): DeviceArray | undefined;
  /** Everything a checkpoint must hold, in plain layout. Throws DivergenceError if a parameter is not finite. */
  state(): Promise<Map<string, Tensor>>;
  /** Continues from such a state. Throws DataError if it does not fit the network and configuration. */
  restore(state: ReadonlyMap<string, Tensor>, step: number, source: string): Promise<void>;
  /** Which weights are pruned, in the layout of the plan's arena (0 for pruned ones); undefined if none ever was. */
  masks(): DeviceArray | undefined;
  /** Takes over the masks in a checkpoint's tensors, if there are any: weights pruned there are zero from now on. Throws DataError. */
  takeMasks(tensors: ReadonlyMap<string, Tensor>, source: string): Promise<void>;
  /** Takes the weights in a checkpoint's tensors, as trained, for those that pruning goes back to. Throws DataError. */
  takeRewind(tensors: ReadonlyMap<string, Tensor>, source: string): Promise<void>;
  /** Makes the state of every process that of process 0. */
  synchronize(): Promise<void>;
}

/** An array of state beside the parameters: saved, restored, told to the other processes and pruned with them. */
interface Slot {
  /** Of its tensors in a checkpoint. */
  readonly prefix: string;
  /** In the arena's layout. */
  readonly values: DeviceArray;
  /** The parameters that it has values for. */
  readonly entries: readonly ArenaEntry[];
  /** Where a round of pruning starts over: at the weights, at zero, or `kept` as it is, pruned weights too. */
  readonly startsOver: 'weights' | 'zero' | 'kept';
}

/** The name of the weights that pruning goes back to in checkpoints, beside the optimizer's slots. */
const rewindSlot = 'rewind';

/**
 * What a plan is compiled for, so that this process can train its part of each batch.
 *
 * @throws ConfigurationError if the batch cannot be divided among the processes
 */
export function trainingOptions(config: TrainingConfig, collective: Collective): TrainingOptions {
  const { batchSize, precision, labelSmoothing, teacher, teacherWeight: weight, teacherTemperature: temperature } = config;
  const { worldSize } = collective;
  if (batchSize % worldSize !== 0) {
    throw new ConfigurationError(
      `batchSize (=${batchSize}) must be a multiple of the ${worldSize} processes that train together`,
    );
  }
  return {
    batchSize: batchSize / worldSize,
    precision,
    loss: { labelSmoothing, wholeBatchSize: batchSize, ...(teacher !== 'none' && { distillation: { weight, temperature } }) },
    ...(config.syncBatchNorm && { sharedBatch: { processes: worldSize, sum: (values) => collective.sum(values) } }),
  };
}

/**
 * A trainer at step 0, with the parameters that the plan has now, at which the moving average and the slow weights start.
 *
 * Each process computes the gradient of its part of the batch, divided by the whole batch's size, so that their sum over the processes
 * is the gradient of the mean loss. It is summed part by part while the backward pass goes on.
 *
 * With pruning, the first step of each round begins by pruning: from equal weights every process prunes the same ones.
 *
 * @param plan compiled with `trainingOptions`
 * @param teacher made for batches of the plan's size, if the configuration has one
 */
export function createTrainer(plan: TrainingPlan, config: TrainingConfig, collective: Collective, teacher?: Teacher): Trainer {
  const { parameters: arena, batchSize, vectorMath, lossScaling } = plan;
  // What a step changes stays as it was where its gradients have overflowed.
  const updated = { parameters: arena, vectorMath: lossScaling?.updates ?? vectorMath };
  const { seed, movingAverage, pruning } = config;
  const average = movingAverage.type === 'none' ? undefined : copyOf(arena.values, plan);
  const lookahead = config.lookahead.type === 'none' ? undefined : createLookahead(updated, config.lookahead);
  const optimizer = createOptimizer({ plan: updated, rules: config }, config.optimizer);
  const { batchSize: wholeBatchSize, learningRateScaling } = config;
  const roundSteps = pruning.type === 'none' ? config.steps : config.steps / pruning.rounds;
  const startsOver = pruning.type !== 'none' && pruning.rewind !== 'none';
  /** Steps over which schedules go: those of the run, or of each round. */
  const steps = startsOver ? roundSteps : config.steps;
  const meanLossRate = { learningRate: meanLossLearningRate(config), batchSize: wholeBatchSize, steps };
  const prunable = prunableEntries(arena);
  let masks: Masks | undefined;
  const rewind = startsOver && pruning.rewind !== 'rate' ? copyOf(arena.values, plan) : undefined;
  const statistics = arena.values.part(arena.trainableLength, arena.length);
  const scaleStatistics = vectorMath.multiplyAdd(statistics, [], statistics);
  const followWeights = average && updated.vectorMath.approach(arena.values, average);
  const weightDecayLoss = createWeightDecayLoss(optimizer.decayed, plan);
  const allFinite = vectorMath.allFinite(arena.values);
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
  /** Whether processes were asked to stop, which they tell each other each step. */
  const stopRequests = new Float64Array(new ArrayBuffer(8));
  const stopSum = collective.backgroundSum(stopRequests);
  const statisticsSum = collective.backgroundSum(statistics);
  const gradientsSum = collective.backgroundSum(arena.gradients.part(0, arena.trainableLength), {
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

  async function prune(): Promise<void> {
    if (pruning.type === 'none') return;
    const known = masks;
    const weights = await Promise.all(
      prunable.map(async (entry) => ({
        name: entry.spec.name,
        values: await arena.read(entry, arena.values),
        ...(known !== undefined && { mask: await arena.read(entry, known.values) }),
      })),
    );
    const chosen = magnitudeMasks(weights, sparsityOfRound(pruning, step / roundSteps), pruning.scope);
    masks ??= await createMasks(plan);
    for (const entry of prunable) await arena.write(entry, chosen.get(entry.spec.name)!, masks.values);
    if (rewind !== undefined) vectorMath.copy(rewind, arena.values)();
    if (startsOver) {
      for (const { values, startsOver: from } of slots) {
        if (from === 'weights') vectorMath.copy(arena.values, values)();
        if (from === 'zero') vectorMath.fill(values)(0);
      }
    }
    clearPruned();
  }

  function clearPruned(): void {
    masks?.clear(arena.values);
    for (const { values, startsOver: from } of slots) if (from !== 'kept') masks?.clear(values);
  }

  async function takeMasks(tensors: ReadonlyMap<string, Tensor>, source: string): Promise<void> {
    if (!hasMasks(tensors)) return;
    requireMasks(tensors, source);
    masks ??= await createMasks(plan);
    await loadInto(arena, masks.values, tensors, maskPrefix, source, prunable);
    clearPruned();
  }

  return {
    get step() {
      return step;
    },

    async train(batch, stopRequested) {
      if (step % roundSteps === 0) await prune();
      plan.bindInput(batch.inputs);
      await plan.prepareStep?.();
      plan.forward({ seed, step, firstExample });
      const { labels, mixed } = batch;
      plan.computeLoss({ labels, mixed, teacherLogits: teacher?.logits(batch.inputs) });
      stopRequests[0] = stopRequested ? 1 : 0;
      stopSum.advance(0);
      statisticsSum.advance(0);
      plan.backward(gradientsSum.advance);
      await stopSum.finish();
      await statisticsSum.finish();
      await gradientsSum.finish();
      masks?.maskGradients();
      const scheduled = step % steps;
      const averageDecay = movingAverage.type === 'none' ? 0 : averageDecayAt(movingAverage, scheduled);
      optimizer.step(learningRate(), scheduled, steps, earlyLearningRate());
      if (optimizer.mixesWeights === true) masks?.clear(arena.values);
      if (collective.worldSize > 1) scaleStatistics([1 / collective.worldSize]);
      followWeights?.(1 - averageDecay);
      step++;
      lookahead?.update(scheduled + 1, steps);
      return stopRequests[0] > 0;
    },

    async losses() {
      const losses = await plan.takeLosses();
      collective.sum(losses);
      const hopeless = losses.findIndex((loss) => !(loss < hopelessLoss));
      if (hopeless < 0) return losses;
      // What was enqueued behind it is of no use.
      step += hopeless - losses.length;
      throw new DivergenceError(`the loss is ${Number(losses[hopeless]!.toPrecision(3))}`, step + 1, config.precision);
    },

    learningRate,
    weightDecayLoss,

    async lossScale() {
      if (lossScaling === undefined) return undefined;
      const known = await lossScaling.read();
      if (known.goodSteps === 0 && known.scale === lossScaling.leastScale) {
        throw new DivergenceError(
          `gradients overflow float16 even when the loss is scaled by ${known.scale}`,
          step,
          config.precision,
        );
      }
      return known;
    },

    weights: (kind) => (kind === 'raw' ? arena.values : average),
    masks: () => masks?.values,
    takeMasks,

    async takeRewind(tensors, source) {
      if (rewind !== undefined) await loadInto(arena, rewind, checkpointWeights({ tensors }, 'raw', source), '', source);
    },

    async state() {
      if (!(await allFinite())) throw new DivergenceError('a parameter is not finite', step, config.precision);
      const tensors = await tensorsOf(arena, arena.values, '');
      for (const slot of slots) merge(tensors, await tensorsOf(arena, slot.values, slot.prefix, slot.entries));
      if (masks !== undefined) merge(tensors, await tensorsOf(arena, masks.values, maskPrefix, prunable));
      if (lossScaling !== undefined) tensors.set(...lossScaleTensor(await lossScaling.read()));
      return tensors;
    },

    async restore(state, restoredStep, source) {
      await loadInto(arena, arena.values, state, '', source);
      for (const slot of slots) await loadInto(arena, slot.values, state, slot.prefix, source, slot.entries);
      await takeMasks(state, source);
      await lossScaling?.write(lossScaleIn(state, source));
      step = restoredStep;
    },

    async synchronize() {
      const known = Float64Array.of(step, masks === undefined ? 0 : 1);
      for (const array of [arena.values, ...slots.map(({ values }) => values)]) await collective.broadcastArray(array);
      collective.broadcast(new Uint8Array(known.buffer));
      const [taken, masked] = known as unknown as readonly [number, number];
      step = taken;
      if (masked === 0) return;
      masks ??= await createMasks(plan);
      await collective.broadcastArray(masks.values);
    },
  };
}

function copyOf(array: DeviceArray, { parameters, vectorMath }: TrainingPlan): DeviceArray {
  const copy = parameters.allocate();
  vectorMath.copy(array, copy)();
  return copy;
}

function merge(into: Map<string, Tensor>, from: ReadonlyMap<string, Tensor>): void {
  for (const [name, tensor] of from) into.set(name, tensor);
}
