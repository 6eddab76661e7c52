/**
 * A training by its formulas: written again from the documents, in float64 and one parameter at a time, to compare runs with. Nothing of
 * src/train is used. Gradients are the reference engine's, whose layers are checked against central differences; images come from the
 * loader's own function of (seed, step).
 */
import type { Dataset } from '../src/data/dataset.ts';
import { inputSizeFor, sidesOf } from '../src/util/image-size.ts';
import { createFill } from '../src/data/fill.ts';
import type { Standardization } from '../src/data/preprocessing.ts';
import { splitOf } from '../src/data/image-set.ts';
import { runBackward, runForward } from '../src/engine/reference/execute.ts';
import { ownBatch } from '../src/engine/reference/layer.ts';
import { buildModel } from '../src/models/registry.ts';
import type { Network } from '../src/nn/network.ts';
import type { Initializer, ParameterSpec } from '../src/nn/parameter.ts';
import { initialValues } from '../src/nn/parameter.ts';
import type { TrainingConfig } from '../src/train/config-schema.ts';

type Values = Map<string, Float64Array>;

/** What is known after a step. */
export interface PlainStep {
  readonly loss: number;
  readonly learningRate: number;
  /** At the weights after the step. */
  readonly weightDecayLoss: number;
  /** Tensors as a checkpoint names them: `conv1.weight`, `ema.conv1.weight`, `opt.momentum.conv1.weight`, `mask.conv1.weight`. */
  readonly tensors: Values;
}

export interface PlainOptions {
  /** Logits of the teacher for a batch of inputs. */
  readonly teacher?: (inputs: Float32Array) => Float32Array;
  /** First values of parameters by name, in place of draws. */
  readonly firstValues?: ReadonlyMap<string, ArrayLike<number>>;
  /** Weights that pruning goes back to. */
  readonly rewindTo?: ReadonlyMap<string, ArrayLike<number>>;
}

/** All steps of the run that the configuration describes. */
export function plainTraining(config: TrainingConfig, dataset: Dataset, options: PlainOptions = {}): PlainStep[] {
  const inputSize = inputSizeFor(config.inputSize, [dataset.shape[1], dataset.shape[2]]);
  const [height, width] = sidesOf(inputSize);
  const network = buildModel(config.model, {
    settings: config.modelSettings,
    input: [dataset.shape[0], height, width],
    classes: dataset.classes.length,
  });
  const specs = network.parameters;
  const trained = specs.filter(({ kind }) => kind === 'trainable');
  const prunable = trained.filter(({ role }) => role === 'weight');
  const whitened = new Set(specs.filter(({ initializer }) => initializer.type === 'whitening').map(({ layer }) => layer));
  const w: Values = new Map(specs.map((spec) => [spec.name, firstValuesOf(spec, config, options)]));
  const rewind: Values = copyOf(w);
  for (const name of w.keys()) rewind.set(name, Float64Array.from(options.rewindTo?.get(name) ?? w.get(name)!));
  const average = copyOf(w);
  const slow = copyOf(w);
  const zeros = (): Values => new Map(trained.map(({ name }) => [name, new Float64Array(w.get(name)!.length)]));
  const { optimizer } = config;
  const state = new Map(stateOf(optimizer).map((slot) => [slot, zeros()]));
  const masks: Values = new Map(prunable.map(({ name }) => [name, new Float64Array(w.get(name)!.length).fill(1)]));
  const fill = createFill({
    images: splitOf(dataset, 'train', config.val),
    shape: dataset.shape,
    preprocessing: {
      inputSize,
      standardization: constantsOf(config.standardization, dataset.shape[0]),
      ...(config.augment && { augmentation: config.augmentation }),
    },
    batchSize: config.batchSize,
    task: { type: 'training', seed: config.seed, firstStep: 0, rank: 0, worldSize: 1 },
  });
  const { pruning } = config;
  const rounds = pruning.type === 'none' ? 1 : pruning.rounds;
  const roundLength = config.steps / rounds;
  const startsOver = pruning.type !== 'none' && pruning.rewind !== 'none';
  const length = startsOver ? roundLength : config.steps;

  return Array.from({ length: config.steps }, (_, step): PlainStep => {
    if (pruning.type !== 'none' && step % roundLength === 0) {
      chooseMasks(prunable, w, masks, pruning, step / roundLength);
      if (startsOver) {
        for (const [name, values] of w) {
          if (pruning.rewind !== 'rate') values.set(rewind.get(name)!);
          average.get(name)!.set(values);
          slow.get(name)!.set(values);
          for (const slot of state.values()) slot.get(name)?.fill(0);
        }
      }
      for (const [name, mask] of masks) {
        for (const values of [w, average, slow, ...state.values()])
          values.get(name)!.forEach((value, i, all) => (all[i] = value * mask[i]!));
      }
    }
    const t = startsOver ? step % roundLength : step;
    const batch = {
      inputs: new Float32Array(config.batchSize * dataset.shape[0] * height * width),
      labels: new Uint8Array(config.batchSize),
      mixed: { labels: new Uint8Array(config.batchSize), share: new Float64Array(1) },
    };
    fill(step, batch);
    const part = batch.mixed.share[0]!;
    const targets = [...batch.labels].map((label, n) =>
      dataset.classes.map((_, k) => (label === k ? 1 - part : 0) + (batch.mixed.labels[n] === k ? part : 0)),
    );
    const { loss, gradients } = gradientsOf(network, w, { inputs: batch.inputs, targets }, config, step, options.teacher);
    const learningRate = rateOf(config, t, length);
    const decayOfAverage = averageDecay(config, t);
    for (const spec of trained) {
      if (spec.role === 'bias' && whitened.has(spec.layer) && t / length >= config.trainWhiteningBias) continue;
      const values = w.get(spec.name)!;
      const mask = (i: number): number => masks.get(spec.name)?.[i] ?? 1;
      const slots = Object.fromEntries([...state].map(([slot, all]) => [slot, all.get(spec.name)!]));
      const masked = gradients.get(spec.name)!.map((value, i) => value * mask(i));
      const early = spec.role === 'bias' && whitened.has(spec.layer) && config.trainWhiteningBias < 1;
      const ownSchedule = early && config.whiteningBiasSchedule === 'own';
      const scheduled = ownSchedule ? rateOf(config, t, length * config.trainWhiteningBias, length) : learningRate;
      const rate = scheduled * config.learningRateMultipliers[spec.role as 'weight'];
      if (optimizer.type === 'muon' && spec.shape.length === 4) {
        const direction = orthogonalized(
          sgdDirection(optimizer, masked, slots['momentum']),
          spec.shape[0]!,
          optimizer.iterations,
        );
        const norm = Math.hypot(...values) / Math.sqrt(spec.shape[0]!);
        for (let i = 0; i < values.length; i++) values[i] = (values[i]! / norm - rate * direction[i]!) * mask(i);
        continue;
      }
      const relative = optimizer.type === 'muon' ? optimizer.otherLearningRate / config.learningRate : 1;
      const coupled = coupledDecay(spec, config);
      const taken = config.weightDecay.rule === 'decoupled' && spec.role === 'weight' ? config.weightDecay.value : 0;
      const direction = directionOf(
        optimizer,
        masked.map((value, i) => value + coupled * values[i]!),
        slots,
        t,
      );
      for (let i = 0; i < values.length; i++) values[i] = values[i]! - rate * relative * (taken * values[i]! + direction[i]!);
    }
    for (const [name, values] of w) {
      const averaged = average.get(name)!;
      values.forEach((value, i) => (averaged[i] = decayOfAverage * averaged[i]! + (1 - decayOfAverage) * value));
    }
    if (config.lookahead.type === 'lookahead') followSlowly(w, slow, config.lookahead, t + 1, length);

    const named = (prefix: string, from: Values): [string, Float64Array][] =>
      [...copyOf(from)].map(([name, values]) => [prefix + name, values]);
    return {
      loss,
      learningRate,
      weightDecayLoss: trained.reduce((sum, spec) => {
        const squares = w.get(spec.name)!.reduce((total, value) => total + value * value, 0);
        const free = optimizer.type === 'muon' && spec.shape.length === 4;
        return free ? sum : sum + (coupledDecay(spec, config) * squares) / 2;
      }, 0),
      tensors: new Map([
        ...named('', w),
        ...(config.movingAverage.type === 'none' ? [] : named('ema.', average)),
        ...[...state].flatMap(([slot, values]) => named(`opt.${slot}.`, values)),
        ...(config.lookahead.type === 'none' ? [] : named('opt.lookahead.', slow)),
        ...(startsOver && pruning.rewind !== 'rate' ? named('opt.rewind.', rewind) : []),
        ...(pruning.type === 'none' ? [] : named('mask.', masks)),
      ]),
    };
  });
}

type Optimizer = TrainingConfig['optimizer'];

/** What an optimizer keeps of each parameter. */
function stateOf(optimizer: Optimizer): string[] {
  if (optimizer.type === 'adamw') return ['firstMoment', 'secondMoment'];
  return optimizer.type === 'sgd' && optimizer.momentum === 0 ? [] : ['momentum'];
}

/** What is taken off a parameter for each unit of the learning rate, after `t` steps; the state moves on. Filters under muon are apart. */
function directionOf(optimizer: Optimizer, gradient: Float64Array, state: Record<string, Float64Array>, t: number): Float64Array {
  switch (optimizer.type) {
    case 'sgd':
      return sgdDirection(optimizer, gradient, state['momentum']);
    case 'muon':
      return sgdDirection({ momentum: optimizer.otherMomentum, nesterov: optimizer.nesterov }, gradient, state['momentum']);
    case 'adamw': {
      const { beta1, beta2, epsilon } = optimizer;
      const { firstMoment: m, secondMoment: v } = state as Record<'firstMoment' | 'secondMoment', Float64Array>;
      return gradient.map((g, i) => {
        m[i] = beta1 * m[i]! + (1 - beta1) * g;
        v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
        return m[i] / (1 - beta1 ** (t + 1)) / (Math.sqrt(v[i] / (1 - beta2 ** (t + 1))) + epsilon);
      });
    }
  }
}

function sgdDirection(
  { momentum, nesterov }: { readonly momentum: number; readonly nesterov: boolean },
  gradient: Float64Array,
  velocity: Float64Array | undefined,
): Float64Array {
  if (velocity === undefined) return gradient;
  return gradient.map((g, i) => {
    velocity[i] = momentum * velocity[i]! + g;
    return nesterov ? g + momentum * velocity[i] : velocity[i];
  });
}

/** Newton-Schulz: x = 3.4445 x - 4.775 (x x') x + 2.0315 (x x')^2 x from x of norm 1. Rows in excess of the columns change nothing. */
function orthogonalized(matrix: Float64Array, rows: number, iterations: number): Float64Array {
  const columns = matrix.length / rows;
  const norm = Math.hypot(...matrix) + 1e-7;
  const multiply = (a: readonly number[][], b: readonly number[][]) =>
    a.map((row) => b[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * b[k]![j]!, 0)));
  let x = Array.from({ length: rows }, (_, i) => [...matrix.slice(i * columns, (i + 1) * columns)].map((value) => value / norm));
  for (let i = 0; i < iterations; i++) {
    const gram = multiply(
      x,
      x[0]!.map((_, j) => x.map((row) => row[j]!)),
    );
    const third = multiply(gram, x);
    const fifth = multiply(gram, third);
    x = x.map((row, r) => row.map((value, j) => 3.4445 * value - 4.775 * third[r]![j]! + 2.0315 * fifth[r]![j]!));
  }
  return Float64Array.from(x.flat());
}

/** A single constant is that of every channel. */
function constantsOf(standardization: TrainingConfig['standardization'], channels: number): Standardization {
  if (standardization.type === 'image') return standardization;
  const { mean, deviation } = standardization;
  const list = (constant: number | readonly number[]) => [constant, constant, constant].flat().slice(0, channels);
  return { type: 'channel', mean: list(mean), deviation: list(deviation) };
}

function copyOf(values: Values): Values {
  return new Map([...values].map(([name, array]) => [name, array.slice()]));
}

function firstValuesOf(spec: ParameterSpec, { initializer, seed }: TrainingConfig, { firstValues }: PlainOptions): Float64Array {
  const given = firstValues?.get(spec.name);
  if (given !== undefined) return Float64Array.from(given);
  let rule: Initializer = spec.initializer;
  if (spec.role === 'weight' && spec.kind === 'trainable' && initializer.type !== 'model') {
    // Channels are passed through by convolutions only.
    rule = initializer.type === 'dirac' && spec.shape.length === 2 ? { type: 'uniformFanIn' } : initializer;
  }
  return Float64Array.from(initialValues(spec, seed, rule));
}

/** The mean loss of a batch and its gradients by parameter; running statistics move on in `w`. */
function gradientsOf(
  network: Network,
  w: Values,
  { inputs, targets }: { readonly inputs: Float32Array; readonly targets: readonly (readonly number[])[] },
  { seed, labelSmoothing, teacherWeight, teacherTemperature }: TrainingConfig,
  step: number,
  teacher: PlainOptions['teacher'],
): { loss: number; gradients: Values } {
  const examples = targets.length;
  const mode = { training: true, draws: { seed, step, firstExample: 0 }, sharedBatch: ownBatch } as const;
  const activations = runForward(network, examples, w, Float64Array.from(inputs), mode);
  const output = activations.tensors.get(network.output)!;
  const outputGradient = new Float64Array(output.length);
  const classes = output.length / examples;
  const teacherLogits = teacher?.(inputs).slice();
  let loss = 0;
  for (let n = 0; n < examples; n++) {
    const row = (logits: Float32Array | Float64Array, temperature: number) =>
      softmax([...logits.subarray(n * classes, (n + 1) * classes)].map((logit) => logit / temperature));
    const p = row(output, 1);
    const taught = teacherLogits && { q: row(teacherLogits, teacherTemperature), p: row(output, teacherTemperature) };
    const labelsPart = taught === undefined ? 1 : 1 - teacherWeight;
    for (let k = 0; k < classes; k++) {
      const target = (1 - labelSmoothing) * targets[n]![k]! + labelSmoothing / classes;
      loss -= (labelsPart * target * Math.log(p[k]!)) / examples;
      let gradient = labelsPart * (p[k]! - target);
      if (taught !== undefined) {
        loss += (teacherWeight * teacherTemperature ** 2 * taught.q[k]! * Math.log(taught.q[k]! / taught.p[k]!)) / examples;
        gradient += teacherWeight * teacherTemperature * (taught.p[k]! - taught.q[k]!);
      }
      outputGradient[n * classes + k] = gradient / examples;
    }
  }
  const { parameters } = runBackward(network, activations, w, outputGradient, mode);
  return { loss, gradients: new Map(parameters) };
}

function softmax(z: readonly number[]): number[] {
  const powers = z.map((logit) => Math.exp(logit));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

/** The learning rate after `t` of `length` steps: straight lines and half a cosine between the points that the documents name. */
function rateOf(
  { schedule, learningRate, learningRateScaling: scaling, batchSize, optimizer }: TrainingConfig,
  t: number,
  length: number,
  runLength = length,
): number {
  let peak = learningRate;
  if (optimizer.type === 'sgd' && optimizer.decoupled)
    peak = (learningRate * batchSize) / 1024 / (1 + 1 / (1 - optimizer.momentum));
  if (scaling.type === 'linear') {
    const whole = (peak * batchSize) / scaling.referenceBatchSize;
    const rising = scaling.warmup * runLength;
    peak = t + 1 >= rising ? whole : peak + ((whole - peak) * (t + 1)) / rising;
  }
  const line = (x: number, [x0, y0]: readonly [number, number], [x1, y1]: readonly [number, number]) =>
    y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
  switch (schedule.type) {
    case 'constant':
      return peak;
    case 'step': {
      let rate = peak;
      for (const milestone of schedule.milestones) if (t >= milestone * length) rate *= schedule.factor;
      return rate;
    }
    case 'linear': {
      const warm = schedule.warmup * length;
      return peak * (t < warm ? Math.min(1, (t + 1) / warm) : line(t, [warm, 1], [length, schedule.final]));
    }
    case 'cosine': {
      const warm = schedule.warmup * length;
      if (t < warm) return peak * Math.min(1, (t + 1) / warm);
      const angle = line(t, [warm, 0], [length, Math.PI]);
      return peak * line(Math.cos(angle), [1, 1], [-1, schedule.final]);
    }
    case 'oneCycle': {
      const warm = schedule.warmup * length;
      if (t < warm) return peak * Math.min(1, line(t + 1, [0, schedule.initial], [warm, 1]));
      return peak * line(t, [warm, 1], [length, schedule.final]);
    }
    case 'triangular': {
      const warm = Math.floor(schedule.warmup * length);
      if (t < warm) return peak * line(t, [0, schedule.initial], [warm, 1]);
      return peak * line(t, [warm, 1], [length, schedule.final]);
    }
  }
}

function averageDecay({ movingAverage }: TrainingConfig, t: number): number {
  if (movingAverage.type === 'none') return 0;
  return movingAverage.warmup ? Math.min(movingAverage.decay, (1 + t) / (10 + t)) : movingAverage.decay;
}

/** Times the weight, what a decay in the loss adds to its gradient. */
function coupledDecay({ role, regularized, shape }: ParameterSpec, config: TrainingConfig): number {
  const { rule, value } = config.weightDecay;
  if (rule === '2017') return regularized ? value / shape.reduce((a, b) => a * b) : 0;
  if (rule === 'coupled') return role === 'weight' ? value : 0;
  if (rule !== 'independent') return 0;
  const { optimizer, learningRate } = config;
  const peak =
    (optimizer.type === 'muon' ? optimizer.otherLearningRate : learningRate) * config.learningRateMultipliers[role as 'weight'];
  return peak === 0 ? 0 : value / peak;
}

/** Every so many steps the weights and their slow copy meet in between; at the end the slow ones are the result. */
function followSlowly(
  w: Values,
  slow: Values,
  { every, decay, power }: { readonly every: number; readonly decay: number; readonly power: number },
  taken: number,
  length: number,
): void {
  const old = decay * (taken / length) ** power;
  for (const [name, values] of w) {
    const behind = slow.get(name)!;
    for (let i = 0; i < values.length; i++) {
      if (taken % every === 0) values[i] = behind[i] = old * behind[i]! + (1 - old) * values[i]!;
      if (taken === length) values[i] = behind[i]!;
    }
  }
}

/** Zeros for the weights of least magnitude, of all layers together or of each; each layer keeps its largest. */
function chooseMasks(
  prunable: readonly ParameterSpec[],
  w: Values,
  masks: Values,
  { sparsity, rounds, growth, scope }: Extract<TrainingConfig['pruning'], { type: 'magnitude' }>,
  round: number,
): void {
  const left = 1 - (round + 1) / rounds;
  const part = growth === 'cubic' ? sparsity * (1 - left ** 3) : 1 - (1 - sparsity) ** (1 - left);
  const weights = prunable.map(({ name }) => {
    const values = [...w.get(name)!];
    const largest = values.reduce((best, value, i) => (Math.abs(value) > Math.abs(values[best]!) ? i : best), 0);
    return values.map((value, i) => {
      const pruned = masks.get(name)![i] === 0;
      return { name, i, size: pruned ? -1 : i === largest ? Infinity : Math.abs(value) };
    });
  });
  for (const group of scope === 'global' ? [weights.flat()] : weights) {
    const ascending = group.toSorted((a, b) => a.size - b.size);
    for (const { name, i } of ascending.slice(0, Math.round(part * group.length))) masks.get(name)![i] = 0;
  }
}
