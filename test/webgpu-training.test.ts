/** Trainings on the WebGPU engine: whole networks beside float64, the loss in all its forms, arithmetic on arrays, and what is refused. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { DeviceArray, Engine, LossOptions, Targets, TrainingPlan } from '../src/engine/engine.ts';
import type { KernelTimes } from '../src/engine/kernel-times.ts';
import { createWebgpuEngine } from '../src/engine/webgpu/engine.ts';
import { runBackward, runForward } from '../src/engine/reference/execute.ts';
import { ownBatch } from '../src/engine/reference/layer.ts';
import { buildModel } from '../src/models/registry.ts';
import { NetworkBuilder, type Network } from '../src/nn/network.ts';
import { sizeOf } from '../src/nn/shape.ts';
import { latestCheckpoint, loadCheckpoint } from '../src/runs/checkpoint.ts';
import { encodePng } from '../src/runs/png.ts';
import { readMetrics } from '../src/runs/metrics.ts';
import { metricsPath, openRun, readConfig, readEnvironment, type Run } from '../src/runs/run-folder.ts';
import { readStatus } from '../src/runs/run-status.ts';
import { createClassifier } from '../src/train/classifier.ts';
import { resolveConfig } from '../src/train/config.ts';
import type { ConfigOverrides } from '../src/train/config-schema.ts';
import { readEvaluation } from '../src/train/recorded-evaluation.ts';
import { trainAll, type Outcome } from '../src/train/side-by-side.ts';
import { train } from '../src/train/train.ts';
import { DivergenceError } from '../src/train/trainer.ts';
import { integer, normal, streamKey } from '../src/util/random.ts';
import { caseParameters, relativeError } from './layer-cases.ts';
import { loadGpu, noWebgpu } from './load-webgpu.ts';
import { noiseDataset } from './noise-dataset.ts';
import { runCli, type CliOptions } from './run-cli.ts';
import { skippable } from './skippable.ts';

const tolerance = 1e-4;
const seed = 5;

const gpu = await loadGpu();
const whyNot = gpu === undefined ? noWebgpu : undefined;

function normals(length: number, purpose: string, step = 0): Float32Array {
  const key = streamKey(seed, purpose, step);
  return Float32Array.from({ length }, (_, i) => normal(key, i));
}

function labelsOf(count: number, classes: number, step: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => integer(streamKey(seed, 'labels', step), i, classes));
}

/**
 * The loss and its gradient in float64, straight from the formulas: sum over k of q_k (log sum_j exp(z_j) - z_k), of the target distributions q, and of the
 * teacher's with both at a temperature.
 */
function plainLoss(logits: ArrayLike<number>, targets: Targets, options: LossOptions, teacher?: ArrayLike<number>) {
  const { labels, mixed } = targets;
  const classes = logits.length / labels.length;
  const { labelSmoothing = 0, wholeBatchSize = labels.length, distillation } = options;
  const { weight = 0, temperature = 1 } = distillation ?? {};
  const gradient = new Float64Array(logits.length);
  let loss = 0;
  const softmax = (values: ArrayLike<number>, n: number, scale: number) => {
    const row = Array.from({ length: classes }, (_, k) => Math.exp(values[n * classes + k]! / scale));
    const sum = row.reduce((total, value) => total + value, 0);
    return row.map((value) => value / sum);
  };
  labels.forEach((label, n) => {
    const p = softmax(logits, n, 1);
    const soft = softmax(logits, n, temperature);
    const taught = teacher && softmax(teacher, n, temperature);
    for (let k = 0; k < classes; k++) {
      const share = mixed?.share ?? 0;
      const hit = (k === label ? 1 - share : 0) + (mixed?.labels[n] === k ? share : 0);
      const q = (1 - labelSmoothing) * hit + labelSmoothing / classes;
      const learned = taught === undefined ? 0 : temperature ** 2 * taught[k]! * Math.log(taught[k]! / soft[k]!);
      const pull = taught === undefined ? 0 : temperature * (soft[k]! - taught[k]!);
      loss += ((1 - weight) * -q * Math.log(p[k]!) + weight * learned) / wholeBatchSize;
      gradient[n * classes + k] = ((1 - weight) * (p[k]! - q) + weight * pull) / wholeBatchSize;
    }
  });
  return { loss, gradient };
}

interface Trained {
  readonly losses: readonly number[];
  readonly parameters: ReadonlyMap<string, ArrayLike<number>>;
}

interface Training {
  readonly network: Network;
  readonly batchSize: number;
  readonly steps: number;
  readonly rate: number;
}

const loss: LossOptions = { labelSmoothing: 0.1 };

async function trainOnDevice(plan: TrainingPlan, { network, batchSize, steps, rate }: Training): Promise<Trained> {
  const { parameters: arena, vectorMath } = plan;
  const initial = caseParameters(network);
  for (const entry of arena.entries) await arena.write(entry, initial.get(entry.spec.name)!, arena.values);
  const learned = arena.values.part(0, arena.trainableLength);
  const descend = vectorMath.multiplyAdd(arena.gradients, [learned], learned);
  for (let step = 0; step < steps; step++) {
    plan.bindInput(normals(batchSize * sizeOf(network.inputShape), 'input', step));
    plan.forward({ seed, step });
    plan.computeLoss({ labels: labelsOf(batchSize, network.outputShape[0]!, step) });
    plan.backward();
    descend([-rate, 1]);
  }
  const losses = [...(await plan.takeLosses())];
  const read = arena.entries.map(async (entry) => [entry.spec.name, await arena.read(entry, arena.values)] as const);
  return { losses, parameters: new Map(await Promise.all(read)) };
}

function trainPlainly({ network, batchSize, steps, rate }: Training): Trained {
  const parameters = new Map([...caseParameters(network)].map(([name, values]) => [name, Float64Array.from(values)]));
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const input = Float64Array.from(normals(batchSize * sizeOf(network.inputShape), 'input', step));
    const mode = { training: true, draws: { seed, step }, sharedBatch: ownBatch } as const;
    const activations = runForward(network, batchSize, parameters, input, mode);
    const labels = labelsOf(batchSize, network.outputShape[0]!, step);
    const result = plainLoss(activations.tensors.get(network.output)!, { labels }, loss);
    losses.push(result.loss);
    const gradients = runBackward(network, activations, parameters, result.gradient, mode).parameters;
    for (const { name, kind } of network.parameters) {
      if (kind !== 'trainable') continue;
      const [values, gradient] = [parameters.get(name)!, gradients.get(name)!];
      for (let i = 0; i < values.length; i++) values[i]! -= rate * gradient[i]!;
    }
  }
  return { losses, parameters };
}

describe.skipIf(whyNot)(skippable('trainings on the WebGPU engine', whyNot), () => {
  let engine: Engine;
  beforeAll(() => {
    engine = createWebgpuEngine(gpu!);
  });
  afterAll(() => engine.dispose());

  // With few filters, so that float64 in plain loops finishes.
  const filters = (count: number, ...names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [`${name}.filters`, count]));
  const fires = (count: number, ...names: readonly string[]) =>
    Object.fromEntries(names.flatMap((name) => ['squeeze', 'expand1x1', 'expand3x3'].map((part) => [`${name}.${part}`, count])));
  const nin = filters(16, 'conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'conv6', 'conv7', 'conv8');
  test.each<[steps: number, model: string, input: number, settings: Record<string, unknown>]>([
    [20, 'tuto', 8, { ...filters(16, 'conv1', 'conv2'), 'dense1.features': 32, 'dense2.features': 16 }],
    [20, 'squeeze1', 8, { 'conv1.filters': 16, ...fires(8, 'fire1', 'fire2', 'fire3', 'fire4') }],
    [20, 'nin2', 8, nin],
    [20, 'resnet20', 8, filters(8, 'conv1', 'stage1', 'stage2', 'stage3')],
    [8, 'air94', 32, filters(8, 'group1', 'group2', 'group3')],
  ])('%i steps of %s', async (steps, model, input, settings) => {
    const batchSize = 2;
    const training = { network: buildModel(model, { input, settings }), batchSize, steps, rate: 0.002 };
    const plan = await engine.compileTraining(training.network, { batchSize, loss });
    const [actual, expected] = [await trainOnDevice(plan, training), trainPlainly(training)];
    expect(relativeError(actual.losses, expected.losses)).toBeLessThan(tolerance);
    const wrong = [...expected.parameters].filter(
      ([name, values]) => !(relativeError(actual.parameters.get(name)!, values, 0.1) < tolerance),
    );
    expect(wrong.map(([name]) => name)).toEqual([]);
    plan.dispose();
  });
});

/** [5] -> dense to 4. */
function small(): Network {
  const b = new NetworkBuilder('small', [5]);
  return b.build(b.dense('d', b.input, { features: 4 }));
}

describe.skipIf(whyNot)(skippable('a plan on the WebGPU engine', whyNot), () => {
  const network = small();
  const batchSize = 3;
  let device: Awaited<ReturnType<typeof loadGpu>>;
  const open = async () => createWebgpuEngine((device ??= await loadGpu())!);
  afterAll(() => device?.dispose());

  test.each<[name: string, options: LossOptions, share: number | undefined]>([
    ['labels', {}, undefined],
    ['smoothed labels, of a part of a batch', { labelSmoothing: 0.2, wholeBatchSize: 7 }, undefined],
    ['mixed labels', { labelSmoothing: 0.1 }, 0.3],
    ["a teacher's logits", { labelSmoothing: 0.1, distillation: { weight: 0.7, temperature: 3 } }, undefined],
  ])('has the loss of %s, and its gradient', async (_, options, share) => {
    const engine = await open();
    const plan = await engine.compileTraining(network, { batchSize, loss: options });
    const teacher = await engine.compileInference(network, { batchSize });
    const taught = options.distillation !== undefined;
    const [logits, teacherLogits] = [normals(12, 'logits'), normals(12, 'teacher')];
    await teacher.output.write(teacherLogits);
    await plan.output.write(logits);
    const targets: Targets = {
      labels: labelsOf(batchSize, 4, 0),
      ...(share !== undefined && { mixed: { labels: labelsOf(batchSize, 4, 1), share } }),
      ...(taught && { teacherLogits: teacher.output }),
    };
    plan.computeLoss(targets);
    plan.computeLoss(targets);
    const expected = plainLoss(logits, targets, options, taught ? teacherLogits : undefined);
    const losses = await plan.takeLosses();
    expect(relativeError(losses, [expected.loss, expected.loss])).toBeLessThan(1e-6);
    expect(relativeError(await plan.outputGradient.read(), expected.gradient)).toBeLessThan(1e-5);
    expect(await plan.takeLosses()).toEqual(new Float64Array(0));
    plan.dispose();
    teacher.dispose();
  });

  test.each([Infinity, -Infinity, NaN])('has no loss for a logit of %s', async (value) => {
    const plan = await (await open()).compileTraining(network, { batchSize });
    await plan.output.write(normals(12, 'logits').fill(value, 7, 8));
    plan.computeLoss({ labels: Uint8Array.of(0, 1, 2) });
    expect([...(await plan.takeLosses())]).toEqual([NaN]);
    plan.dispose();
  });

  test.each([
    ['whole arrays', 0, 256],
    ['parts at odd places', 5, 42],
  ])('does arithmetic on %s', async (_, start, end) => {
    const plan = await (await open()).compileTraining(network, { batchSize });
    const { parameters: arena, vectorMath: math } = plan;
    const length = arena.trainableLength;
    const values = (purpose: string) => normals(length, purpose);
    const array = async (purpose: string): Promise<DeviceArray> => {
      const made = arena.allocate();
      await made.write(values(purpose));
      return made;
    };
    const last = Math.min(end, length);
    /** Runs on an own copy of y and compares the part with `expected`, and the rest with what it was. */
    const check = async (
      name: string,
      run: (x: DeviceArray, z: DeviceArray, y: DeviceArray) => void,
      f: (x: number, z: number, y: number) => number,
    ) => {
      const [x, z, y] = [await array('x'), await array('z'), await array('y')];
      run(x.part(start, last), z.part(start, last), y.part(start, last));
      const [xs, zs, ys] = [values('x'), values('z'), values('y')];
      const expected = ys.map((value, i) => (i >= start && i < last ? f(xs[i]!, zs[i]!, value) : value));
      expect(relativeError(await y.read(), expected), name).toBeLessThan(1e-6);
    };
    await check(
      'multiplyAdd',
      (x, z, y) => math.multiplyAdd(x, [z, y], y)([0.5, 2, -3]),
      (x, z, y) => ((x * 0.5 + z) * 2 + y) * -3,
    );
    await check(
      'multiplyAdd of one',
      (x, _z, y) => math.multiplyAdd(x, [], y)([0.25]),
      (x) => x * 0.25,
    );
    await check(
      'approach',
      (x, _z, y) => math.approach(x, y)(0.3),
      (x, _z, y) => y + 0.3 * (x - y),
    );
    await check(
      'multiply',
      (x, _z, y) => math.multiply(x, y)(),
      (x, _z, y) => x * y,
    );
    await check(
      'copy',
      (x, _z, y) => math.copy(x, y)(),
      (x) => x,
    );
    await check(
      'fill',
      (_x, _z, y) => math.fill(y)(-2.5),
      () => -2.5,
    );
    await check(
      'approachSquare',
      (x, _z, y) => math.approachSquare(x, y)(0.1),
      (x, _z, y) => y + 0.1 * (x * x - y),
    );
    await check(
      'addOverRoot',
      (x, z, y) => {
        math.multiply(z, z)();
        math.addOverRoot(x, z, y)({ scale: 2, epsilon: 0.01, step: -0.1, keep: 0.9 });
      },
      (x, z, y) => 0.9 * y - (0.1 * x) / (Math.sqrt(2 * z * z) + 0.01),
    );
    const mask = arena.allocate();
    await mask.write(new Float32Array(length).map((_, i) => i % 2));
    const y = arena.allocate();
    await y.write(new Float32Array(length).fill(-1).fill(NaN, start, start + 1));
    math.clearWhere(mask.part(start, last), y.part(start, last))();
    const cleared = await y.read();
    for (let i = 0; i < length; i++)
      expect(cleared[i]).toEqual(i >= start && i < last && i % 2 === 0 ? 0 : i === start ? NaN : -1);

    const [x, z] = [await array('x'), await array('z')];
    const sums = math.sumsOfSquares([x.part(start, last), x.part(3, 3), z]);
    const squares = (list: Float32Array) => list.reduce((sum, value) => sum + value * value, 0);
    const expected = [squares(values('x').slice(start, last)), 0, squares(values('z'))];
    expect(relativeError(await sums(), expected)).toBeLessThan(1e-5);
    const isFinite = math.allFinite(x.part(start, last));
    expect(await isFinite()).toBe(true);
    await x.part(last - 1, last).write(Float32Array.of(-Infinity));
    expect(await isFinite()).toBe(false);
    plan.dispose();
  });

  test.each([
    [5, 6, 7, 0],
    [8, 4, 12, 1],
  ])('multiplies matrices of %i x %i and x %i', async (rows, inner, columns, start) => {
    const plan = await (await open()).compileTraining(network, { batchSize });
    const { vectorMath: math } = plan;
    const matrix = async (purpose: string, length: number) => {
      const made = math.allocate(start + length).part(start, start + length);
      const values = normals(length, purpose);
      await made.write(values);
      return { made, values };
    };
    for (const [transposeA, transposeB] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      const [a, b, c] = [await matrix('a', rows * inner), await matrix('b', inner * columns), await matrix('c', rows * columns)];
      math.product(a.made, b.made, c.made, { rows, inner, columns, transposeA, transposeB })(0.5, -2);
      const expected = c.values.map((value, i) => {
        const [row, column] = [Math.floor(i / columns), i % columns];
        let sum = 0;
        for (let k = 0; k < inner; k++) {
          sum +=
            a.values[transposeA ? k * rows + row : row * inner + k]! *
            b.values[transposeB ? column * inner + k : k * columns + column]!;
        }
        return 0.5 * sum - 2 * value;
      });
      expect(relativeError(await c.made.read(), expected), `${transposeA} ${transposeB}`).toBeLessThan(1e-6);
    }
    const [x, y] = [await matrix('x', rows * inner), await matrix('y', rows * inner)];
    math.scaleToNorm(x.made, y.made)(3, 0.5);
    math.scaleToNorm(x.made, x.made)(3, 0.5);
    const norm = Math.sqrt(x.values.reduce((sum, value) => sum + value * value, 0));
    const scaled = x.values.map((value) => (value * 3) / (norm + 0.5));
    expect(relativeError(await y.made.read(), scaled)).toBeLessThan(1e-6);
    expect(relativeError(await x.made.read(), scaled)).toBeLessThan(1e-6);
    plan.dispose();
  });

  test('carries parameters to plain order and back', async () => {
    const b = new NetworkBuilder('image', [3, 2, 2]);
    const image = b.build(b.dense('d', b.conv('c', b.input, { kernel: [1, 2], filters: 5 }), { features: 4 }));
    const plan = await (await open()).compileTraining(image, { batchSize: 1 });
    const { parameters: arena, vectorMath: math } = plan;
    const other = arena.allocate();
    for (const entry of arena.entries) {
      const values = normals(sizeOf(entry.spec.shape), entry.spec.name);
      await arena.write(entry, values, arena.values);
      const plain = math.allocate(values.length);
      arena.unpack(entry, arena.values, plain)();
      expect(await plain.read(), entry.spec.name).toEqual(values);
      arena.pack(entry, plain, other)();
      expect(await arena.read(entry, other), entry.spec.name).toEqual(values);
    }
    plan.dispose();
  });

  test.each(['timestamps', 'wall time'] as const)('kernels are timed by %s, and compute the same', async (timedBy) => {
    const engine = await open();
    const own = device!;
    if (timedBy === 'timestamps') expect(own.clock).toBe('timestamps');
    const run = async (time: (work: () => Promise<unknown>) => Promise<unknown>) => {
      const plan = await engine.compileTraining(network, { batchSize });
      const { parameters: arena, vectorMath } = plan;
      for (const entry of arena.entries) {
        await arena.write(entry, caseParameters(network).get(entry.spec.name)!, arena.values);
      }
      const norm = vectorMath.sumsOfSquares([arena.gradients]);
      const learned = arena.values.part(0, arena.trainableLength);
      const descend = vectorMath.multiplyAdd(arena.gradients, [learned], learned);
      await time(async () => {
        plan.input.set(normals(plan.input.length, 'input'));
        plan.forward({ seed, step: 0 });
        plan.computeLoss({ labels: labelsOf(batchSize, 4, 0) });
        plan.backward();
        // Read in the middle of a step: what comes before must have been computed.
        descend([-1 / (await norm())[0]!, 1]);
      });
      const values = await arena.values.read();
      plan.dispose();
      return values;
    };
    const plain = await run((work) => work());
    let times: KernelTimes | undefined;
    const timed = await run(async (work) => (times = await own.time(work, timedBy)));
    expect(timed).toEqual(plain);
    expect(times!.timedBy).toBe(timedBy);
    expect(times!.kernels.map(({ layer, pass, implementation }) => `${layer} ${pass}: ${implementation}`)).toEqual([
      'd forward: product 8x8x8 by 4x4',
      ' loss: loss',
      'd backwardWeights: product 8x8x8 by 4x4',
      ' optimizer: sums',
      ' optimizer: vector math',
    ]);
    for (const { ms } of times!.kernels) expect(ms).toBeGreaterThan(0);
    expect(times!.kernels.map(({ operations }) => operations)).toEqual([2 * 3 * 5 * 4, 0, 2 * 3 * 5 * 4, 0, 0]);
    // Inputs, weights, biases and outputs: parameters start at multiples of 64.
    expect(times!.kernels[0]!.bytes).toBe(4 * (15 + 64 + 64 + 12));
  });

  test('the same training makes the same bits', async () => {
    const engine = await open();
    const training = { network, batchSize, steps: 4, rate: 0.1 };
    const run = async () => {
      const plan = await engine.compileTraining(network, { batchSize, loss });
      const trained = await trainOnDevice(plan, training);
      plan.dispose();
      return trained;
    };
    expect(await run()).toEqual(await run());
  });

  test('reads its input from shared memory, and what it is when it is asked to run', async () => {
    const plan = await (await open()).compileInference(network, { batchSize });
    for (const entry of plan.parameters.entries) {
      await plan.parameters.write(
        entry,
        new Float32Array(sizeOf(entry.spec.shape)).fill(entry.spec.role === 'weight' ? 1 : 0.5),
        plan.parameters.values,
      );
    }
    const shared = new Float32Array(new SharedArrayBuffer(4 * 15)).fill(2);
    plan.bindInput(shared);
    plan.forward();
    shared.fill(7);
    expect([...(await plan.output.read())]).toEqual(new Array(12).fill(10.5));
    plan.forward();
    expect([...(await plan.output.read())]).toEqual(new Array(12).fill(35.5));
    plan.dispose();
  });

  test('side by side reads an array that several lanes have as their input from where the first has written it', async () => {
    const engine = await open();
    const inputs = ['a', 'b', 'c'].map((name) => normals(batchSize * 5, name));
    /** A step on each input; the network's first layer reads the input in the backward pass too. */
    const steps = async (own: Engine, order: readonly number[], rate: number) => {
      const plan = await own.compileTraining(network, { batchSize });
      const { parameters: arena } = plan;
      for (const entry of arena.entries) {
        await arena.write(entry, normals(sizeOf(entry.spec.shape), entry.spec.name), arena.values);
      }
      const descend = plan.vectorMath.multiplyAdd(arena.gradients, [arena.values], arena.values);
      for (const [step, input] of order.entries()) {
        await plan.prepareStep?.();
        plan.bindInput(inputs[input]!);
        plan.forward({ seed, step });
        plan.computeLoss({ labels: labelsOf(batchSize, 4, step) });
        plan.backward();
        descend([-rate, 1]);
      }
      const weights = await arena.values.read();
      const losses = await plan.takeLosses();
      plan.dispose();
      own.dispose();
      return { weights, losses };
    };
    const trainings = [
      [[0, 1, 2, 0], 0.1],
      [[0, 1, 2], 0.2],
      [[2, 1, 0, 1], 0.3],
    ] as const;
    const alone = await Promise.all(trainings.map(([order, rate]) => steps(engine.sideBySide!.open(1)[0]!, order, rate)));
    const write = vi.spyOn(device!, 'writeAhead');
    const lanes = engine.sideBySide!.open(3);
    expect(await Promise.all(trainings.map(([order, rate], lane) => steps(lanes[lane]!, order, rate)))).toEqual(alone);
    // In the first step two, in the second one, in the third and the fourth two.
    expect(write.mock.calls.filter(([{ label }]) => label === 'input')).toHaveLength(7);
    write.mockRestore();
  });

  // No kernel is compiled more than once for all of them: the networks are the same.
  describe('trains side by side', () => {
    const dataset = noiseDataset(8, { train: 16, test: 10 });
    const common: ConfigOverrides = {
      ...{ model: 'tuto', dataset: 'noise', recipe: 'modern', batchSize: 4, steps: 20, inputSize: 8, threads: 1 },
      ...{
        'conv1.filters': 4,
        'conv1.kernel': 3,
        'conv2.filters': 4,
        'conv2.kernel': 3,
        'dense1.features': 8,
        dense2: false,
        batchNorm: true,
      },
      ...{ 'dense.dropout': 0.2, evalEvery: 0, saveEvery: 0, logEvery: 8 },
    };
    const differing: readonly ConfigOverrides[] = [
      { seed: 1 },
      { seed: 2, learningRate: 0.01, 'weightDecay.value': 0.01, labelSmoothing: 0.1 },
      { seed: 1, movingAverage: false, 'optimizer.momentum': 0.5, evalEvery: 15 },
    ];
    const folder = mkdtempSync(join(tmpdir(), 'ablate-side-by-side-'));
    afterAll(() => rmSync(folder, { recursive: true }));

    const trainings = (runsFolder: string, changes: readonly ConfigOverrides[]) =>
      changes.map((change) => ({ config: resolveConfig(common, change), dataset, record: { runsFolder } }));
    const runOf = (outcome: Outcome | undefined): Run => {
      if (outcome?.state === 'trained') return outcome.result.run!;
      throw outcome?.state === 'failed' ? outcome.error : new Error('not begun');
    };
    test('what each would be alone, to the bit, though one of them diverges', async () => {
      const engine = await open();
      const [enqueue, write] = [vi.spyOn(device!, 'enqueue'), vi.spyOn(device!, 'writeAhead')];
      const batches = () =>
        write.mock.calls.filter(([{ label }, , { length }]) => label === 'input' && length === 4 * 3 * 8 * 8).length;
      const alone: Run[] = [];
      for (const training of trainings(join(folder, 'alone'), differing)) alone.push((await train({ ...training, engine })).run!);
      const runsAlone = enqueue.mock.calls.length;
      // Three batches of test images, seen twice.
      const evaluated = 3 * 3 * 2;
      expect(batches()).toBe(3 * 20 + evaluated);
      write.mockClear();
      const diverging = { seed: 3, learningRate: 1e30 };
      const together = await trainAll(engine, trainings(join(folder, 'together'), [...differing, diverging]));
      const runsTogether = enqueue.mock.calls.length - runsAlone;
      // The first and the third see the same; the fourth diverges before its first record, of step 8.
      expect(batches()).toBe(20 + 20 + 8 + evaluated);
      enqueue.mockRestore();
      write.mockRestore();
      const [first, second, third, fourth] = together;
      expect([first, second, third].map((outcome) => contentsOf(runOf(outcome)))).toEqual(alone.map(contentsOf));
      expect(runOf(second).number).toBe(2);
      expect(fourth).toMatchObject({ state: 'failed', error: expect.any(DivergenceError) as unknown });
      // Two fifths: what they all do is done in one go.
      expect(runsTogether).toBeLessThan(0.55 * runsAlone);
    });

    test('in rounds, where the arrays of all are larger than the device allows', async () => {
      const real = await open();
      const notices: string[] = [];
      const engine = { ...real, sideBySide: { ...real.sideBySide!, most: () => 2 } };
      const three = trainings(join(folder, 'rounds'), [{ steps: 2 }, { steps: 2, seed: 2 }, { steps: 2, seed: 3 }]);
      const outcomes = await trainAll(engine, three, (notice) => notices.push(notice));
      expect(outcomes.map((outcome) => runOf(outcome).number)).toEqual([1, 2, 3]);
      expect(notices).toEqual(["2 networks of tuto at a time fit the device's arrays: 3 take 2 rounds"]);
      const { network } = createClassifier(resolveConfig(common), dataset);
      expect(real.sideBySide!.most(network, { batchSize: 4 })).toBe(64);
      expect(real.sideBySide!.most(network, { batchSize: 2 ** 30 })).toBe(0);
    });

    test('in halves, where the device has no memory for all', async () => {
      const engine = await open();
      const guard = vi.spyOn(device!, 'guardMemory');
      guard.mockImplementationOnce((_, refusal) => Promise.reject(refusal('no memory')));
      const notices: string[] = [];
      const two = trainings(join(folder, 'halves'), [{ steps: 2 }, { steps: 2, seed: 2 }]);
      const outcomes = await trainAll(engine, two, (notice) => notices.push(notice));
      guard.mockRestore();
      expect(outcomes.map((outcome) => runOf(outcome).number)).toEqual([1, 2]);
      expect(notices).toEqual(['the device has no memory for 2 networks at a time: trying 1']);
    });
  });

  test.each<[name: string, change: object, message: RegExp]>([
    ['bf16', { precision: 'bf16' }, /precision \(="bf16"\) must be "f32" or "f16" on the engine webgpu/],
    ['no batch', { batchSize: 0 }, /batchSize \(=0\) must be a positive integer/],
    [
      'several processes',
      { sharedBatch: { processes: 2, sum: () => undefined } },
      /a training in 2 processes needs an engine other than webgpu/,
    ],
    [
      'a batch that no device has memory for',
      { batchSize: 2 ** 30 },
      /network "small" with a batch of 1073741824 takes more memory than there is/,
    ],
  ])('is refused for %s', async (_, change, message) => {
    const refused = (await open()).compileTraining(network, { batchSize, ...change });
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toMatchObject({ exitCode: 2 });
  });

  const hasHalf = gpu?.device.features.has('shader-f16') === true ? 'the adapter has shader-f16' : undefined;
  test.skipIf(hasHalf)(skippable('is refused in float16 where the adapter has none', hasHalf), async () => {
    const engine = await open();
    const refused = engine.compileTraining(network, { batchSize, precision: 'f16' });
    await expect(refused).rejects.toThrow(
      /^precision \(="f16"\) needs a graphics card and driver with "shader-f16", which .* does not have$/,
    );
    await expect(refused).rejects.toMatchObject({ exitCode: 2, fix: '--precision f32' });
  });

  test('is of no use once the device has been given back', async () => {
    const own = (await loadGpu())!;
    const plan = await createWebgpuEngine(own).compileInference(network, { batchSize });
    own.dispose();
    await expect(plan.output.read()).rejects.toThrow('the device has been given back');
    expect(own.isOpen).toBe(false);
  });

  test('says that its device was lost', async () => {
    const own = (await loadGpu())!;
    const plan = await createWebgpuEngine(own).compileInference(network, { batchSize });
    own.device.destroy();
    await own.device.lost;
    await expect(plan.output.read()).rejects.toThrow(/WebGPU on .*: the device was lost/);
    own.dispose();
  });
});

test.skipIf(whyNot)(skippable('trainings with forced garbage collections end by themselves', whyNot), () => {
  // The script runs hundreds; see its comment.
  const script = fileURLToPath(new URL('../scripts/webgpu-lifetimes.mjs', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '4'], { encoding: 'utf8' });
  expect({ status, stdout, stderr }).toEqual({
    status: 0,
    stdout: '4 trainings of 20 steps in 1 processes, 0 ended badly\n',
    stderr: '',
  });
});

/** All that a run leaves behind, but for times. */
function contentsOf(run: Run) {
  const { step, tensors, metadata } = loadCheckpoint(latestCheckpoint(run)!.path);
  const metrics = readMetrics(metricsPath(run)).map(({ step: at, metrics: values }) => ({
    at,
    ...values,
    'train/imagesPerSecond': 0,
  }));
  const evaluation = { ...readEvaluation(run), imagesPerSecond: 0 };
  const { status, accuracy } = readStatus(run);
  return { step, metadata, config: readConfig(run), tensors: [...tensors], metrics, evaluation, status, accuracy };
}

test.skipIf(whyNot)(
  skippable(
    'from the command line, seeds are trained side by side, and go on after a kill, as each would alone, and the process ends',
    whyNot,
  ),
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ablate-webgpu-'));
    try {
      for (const split of ['train', 'test']) {
        for (const [label, base] of Object.entries({ dark: 0, bright: 100 })) {
          mkdirSync(join(folder, 'images', split, label), { recursive: true });
          for (let i = 0; i < 4; i++) {
            const samples = Uint8Array.from({ length: 8 * 8 * 3 }, (_, k) => base + integer(streamKey(seed, label, i), k, 156));
            writeFileSync(
              join(folder, 'images', split, label, `${i}.png`),
              encodePng({ width: 8, height: 8, channels: 3, samples }),
            );
          }
        }
      }
      const settings = [
        'lrn=false',
        'conv1.filters=4',
        'conv2.filters=4',
        'dense1=false',
        'dense2=false',
        'inputSize=8',
        'logEvery=10',
      ];
      const set = settings.flatMap((setting) => ['--set', setting]);
      const data = ['--engine', 'webgpu', '--data', 'images:images?size=8', '--batch-size', '4', ...set];
      const run = async (args: readonly string[], options: CliOptions = {}) =>
        await runCli(['train', ...args, '--threads', '1'], { cwd: folder, ownProcess: true, ...options });
      const succeed = async (...args: readonly string[]) => {
        const { code, stderr, stdout } = await run(args);
        expect(code, stderr).toBe(0);
        return stdout;
      };
      const steps = ['--steps', '60', '--save-every', '10'];
      const printed = await succeed('tuto', ...data, ...steps, '--seeds', '1..2');
      expect(printed).toMatch(/runs\/tuto\/1 +1 +60 .*\n.*runs\/tuto\/2 +2 +60 [^]*mean accuracy .* over 2 runs/);
      const started = join(folder, 'runs', 'tuto', '4', 'checkpoints');
      const killed = await run(['tuto', ...data, ...steps, '--seeds', '1,2'], {
        onStderr: () => (existsSync(started) && readdirSync(started).length > 0 ? 'SIGKILL' : undefined),
      });
      expect(killed.code).not.toBe(0);
      const runOf = (number: number) => openRun(join(folder, 'runs', 'tuto', String(number)));
      const runs = [1, 2, 3, 4].map(runOf);
      expect(runs.slice(2).map((each) => readStatus(each).status)).not.toContain('finished');
      await succeed('--resume', 'tuto/3', '--resume', 'tuto/4');
      expect(runs.map((each) => readEnvironment(each).engine)).toEqual(new Array(4).fill('webgpu'));
      const [one, two, ...goneOn] = runs.map(contentsOf);
      expect(one!.step).toBe(60);
      expect(goneOn).toEqual([one, two]);

      // A study trains what differs in numbers in one process, and not again what is there: each run is what it would be alone.
      const keys = [
        'dataset: images:images?size=8',
        `baseline: { model: tuto, steps: 60, saveEvery: 10, batchSize: 4, ${settings.join(', ').replaceAll('=', ': ')} }`,
      ];
      const factors = 'factors: [{ name: rate, levels: [{ learningRate: 0.01 }, { learningRate: 0.04 }] }]';
      writeFileSync(
        join(folder, 'rates.yaml'),
        ['name: rates', ...keys, 'design: one-at-a-time', factors, 'seeds: [1]', ''].join('\n'),
      );
      const study = await runCli(['study', 'rates.yaml', '--engine', 'webgpu', '--threads', '1'], {
        cwd: folder,
        ownProcess: true,
      });
      expect(study.code, study.stderr).toBe(0);
      const said = readFileSync(join(folder, 'runs', 'tuto', '6', 'output.log'), 'utf8');
      expect(said).toBe('trained side by side with tuto/5, whose output.log has what was said\n');
      await succeed('--config', 'runs/tuto/6/config.json', '--engine', 'webgpu');
      const [slower, faster, alone] = [5, 6, 7].map((number) => contentsOf(runOf(number)));
      expect(faster).toEqual(alone);
      for (const other of [one, slower]) expect(faster!.tensors).not.toEqual(other!.tensors);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  240_000,
);
