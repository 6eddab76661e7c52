/** A network compiled for a device: its program with the arrays that outlive a step. */
import type { Network } from '../../nn/network.ts';
import { describeNetwork } from '../../nn/description.ts';
import { inputName } from '../../nn/network.ts';
import { sizeOf } from '../../nn/shape.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { DeviceMemoryError } from '../memory-error.ts';
import { GpuArena, planArena } from './arena.ts';
import { engineName, GpuArray, requireOwn } from './array.ts';
import { largestTogether, type Bound, type Compiled, type Gpu, type Words } from './gpu.ts';
import type {
  CompileOptions,
  ForwardOptions,
  InferencePlan,
  LossScale,
  LossScaling,
  Precision,
  Targets,
  TrainingOptions,
  TrainingPlan,
  VectorMath,
} from '../engine.ts';
import { lossBuffers, lossNumbers, lossText } from './kernels/loss.ts';
import type { DeviceCeilings, KernelTimes, TimedPlan } from '../kernel-times.ts';
import { measureCeilings } from './ceilings.ts';
import { workgroupsFor } from './kernels/shader.ts';
import { strideOf, type Lane, type OwnPart } from './lanes.ts';
import { fromPlain, toPlain } from './layers/elementwise.ts';
import { lowerLayer } from './layers/table.ts';
import {
  decodeState,
  encodeState,
  endScaledPass,
  firstState,
  leastScale,
  requireFloat16,
  scaledBy,
  stateLength,
} from './loss-scaling.ts';
import { isPlain, Lowering, type HalfOptions } from './lowering.ts';
import { ProgramBuilder, type Operation, type Program } from './program.ts';
import { viewOf, type Storage } from './tensor.ts';
import { tuningText, type Tuning } from './tuning.ts';
import { GpuVectorMath } from './vector-math.ts';

/** Steps whose losses there is room for: a training may be that far ahead of the device. */
const stepsInFlight = 32;

const noDraws: ForwardOptions = { seed: 0, step: 0 };

/** What both kinds of plans are made of. */
interface Parts {
  readonly lane: Lane;
  readonly tuning: Tuning;
  readonly network: Network;
  readonly batchSize: number;
  readonly precision: Precision;
  readonly arena: GpuArena;
  readonly program: Program;
  readonly dispose: () => void;
  /** `[N, C, H, W]`, as it comes from the host. */
  readonly input: OwnPart;
  readonly output: GpuArray;
  readonly outputGradient: GpuArray;
  /** The state of the loss scaling; undefined where there is none. */
  readonly scaling: GpuArray | undefined;
}

/** @throws ConfigurationError for a batch size or precision that the engine does not have */
function requireSupported({ batchSize, precision = 'f32' }: CompileOptions): void {
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new ConfigurationError(`batchSize (=${batchSize}) must be a positive integer`);
  }
  if (precision === 'bf16') {
    throw new ConfigurationError(
      'precision (="bf16") must be "f32" or "f16" on the engine webgpu: its shading language has no bf16',
      {
        fix: '--precision f16 where the graphics card has it, --precision f32, or --engine onednn',
      },
    );
  }
}

/** Arrays of a plan that are made before its program, by their lengths. */
function fixedLengths(network: Network, batchSize: number) {
  return { input: batchSize * sizeOf(network.inputShape), output: batchSize * sizeOf(network.outputShape) };
}

/** @throws ConfigurationError for a batch size, a precision or layers that the engine does not have, and for a network that is too large for the device */
async function compile(lane: Lane, network: Network, options: CompileOptions, training: boolean, tuning: Tuning): Promise<Parts> {
  requireSupported(options);
  const { batchSize, precision = 'f32' } = options;
  const { gpu } = lane;
  gpu.check();
  const isHalf = precision === 'f16';
  if (isHalf) await requireFloat16(gpu);
  const plan = planArena(network);
  const networks = lane.count === 1 ? '' : `${lane.count} times `;
  const refusal = (bytes: number, message: string) =>
    new DeviceMemoryError(
      `${networks}network "${network.name}" with a batch of ${batchSize} takes more memory than there is on ${gpu.description} (${(bytes / 2 ** 20).toFixed(0)} MiB: ${message})`,
      { fix: `${lane.count === 1 ? '' : 'fewer networks at a time, '}a smaller batch, smaller images or fewer filters` },
    );
  const { input: inputLength, output: outputLength } = fixedLengths(network, batchSize);
  const longest = 4 * lane.count * Math.max(plan.length, inputLength, outputLength);
  if (longest > gpu.largestBuffer) throw refusal(longest, `arrays on this device have ${gpu.largestBuffer} bytes at most`);
  // Lanes that train the same network share its arrays and kernels: the first makes them, and the others wait for whether there was memory.
  const key = JSON.stringify([describeNetwork(network), batchSize, training, precision, tuningText(tuning)]);
  const makeArrays = () => ({
    arena: new GpuArena(lane, plan, { owner: key, gradients: training }),
    input: lane.createBuffer(inputLength, 'input', key),
    output: lane.createBuffer(outputLength, 'output', key),
    outputGradient: lane.createBuffer(training ? outputLength : 0, 'output gradient', key),
    scaling: isHalf && training ? lane.createBuffer(stateLength, 'loss scaling', key) : undefined,
  });
  let arrays: ReturnType<typeof makeArrays> | undefined;
  const guarded = lane.share(
    `arrays of ${key}`,
    () =>
      gpu.guardMemory(
        () => (arrays = makeArrays()),
        (message) => refusal(4 * lane.count * (2 * plan.length + inputLength + 2 * outputLength), message),
      ),
    () => undefined,
  );
  const releaseArrays = () => {
    guarded.release();
    arrays?.arena.dispose();
    for (const part of [arrays?.input, arrays?.output, arrays?.outputGradient, arrays?.scaling]) part?.release();
  };
  try {
    await guarded.thing;
  } catch (error) {
    releaseArrays();
    throw error;
  }
  const made = (arrays ??= makeArrays());
  const { arena, input, scaling } = made;
  const build = async (): Promise<Program> => {
    const fixed = (label: string, buffer: GPUBuffer, length: number): Storage => ({ label, length, buffer });
    const builder = new ProgramBuilder();
    const lowering = new Lowering({
      ...{ network, batchSize, training, builder, tuning, entries: arena.entries },
      values: fixed('parameters', arena.values.buffer, plan.length),
      gradients: fixed('gradients', arena.gradients.buffer, plan.trainableLength),
      output: fixed('output', made.output.buffer, outputLength),
      outputGradient: fixed('output gradient', made.outputGradient.buffer, outputLength),
      ...(isHalf && {
        half: halfOptions(builder, plan.trainableLength, scaling && fixed('scaling', scaling.buffer, stateLength)),
      }),
    });
    lowerNetwork(lowering, { ...fixed('input', input.buffer, inputLength), isInput: true });
    return await builder.build(gpu, lane.count, refusal);
  };
  const shared = lane.share(
    `program of ${key}`,
    build,
    (program) => void program.then(({ dispose }) => dispose()).catch(() => undefined),
  );
  const dispose = () => {
    shared.release();
    releaseArrays();
  };
  try {
    return {
      ...{ lane, tuning, network, batchSize, precision, arena, input, program: await shared.thing, dispose },
      scaling: scaling && new GpuArray(lane, scaling.buffer, scaling.start, stateLength),
      output: new GpuArray(lane, made.output.buffer, made.output.start, outputLength),
      outputGradient: new GpuArray(lane, made.outputGradient.buffer, made.outputGradient.start, training ? outputLength : 0),
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

function halfOptions(builder: ProgramBuilder, weights: number, scaling: Storage | undefined): HalfOptions {
  return { values: builder.storage('weights in float16', weights, true), scaling };
}

/** How many networks may be trained side by side before an array is larger than the device allows; 0 if one is. */
export function networksThatFit(gpu: Gpu, network: Network, options: CompileOptions, tuning: Tuning): number {
  requireSupported(options);
  const { batchSize, precision = 'f32' } = options;
  const { entries, length, trainableLength } = planArena(network);
  const { input, output } = fixedLengths(network, batchSize);
  const builder = new ProgramBuilder();
  // Of what there will be before the program: nothing is made for it.
  const fixed = (label: string, of: number): Storage => ({ label, length: of, buffer: undefined as unknown as GPUBuffer });
  const lowering = new Lowering({
    ...{ network, batchSize, training: true, builder, tuning, entries },
    ...{ values: fixed('parameters', length), gradients: fixed('gradients', trainableLength) },
    ...{ output: fixed('output', output), outputGradient: fixed('output gradient', output) },
    ...(precision === 'f16' && { half: halfOptions(builder, trainableLength, fixed('scaling', stateLength)) }),
  });
  lowerNetwork(lowering, fixed('input', input));
  const longest = Math.max(4 * strideOf(Math.max(length, input, output, stepsInFlight * batchSize)), builder.largest());
  return Math.min(largestTogether, Math.floor(gpu.largestBuffer / longest));
}

/** Writes the kernels of the forward pass and, in training, of the backward pass. */
function lowerNetwork(c: Lowering, inputStorage: Storage): void {
  const { network, batchSize, builder, training, output, outputGradient, half } = c.options;
  const { inputShape, outputShape } = network;
  if (half !== undefined && half.values.length > 0) roundWeights(c, half.values);
  const plainInput = viewOf(inputStorage, [sizeOf(inputShape)], batchSize);
  if (sizeOf(inputShape) === inputShape[0]) {
    c.setView(inputName, plainInput);
  } else {
    const image = viewOf(builder.storage(inputName, inputStorage.length), inputShape, batchSize);
    c.setView(inputName, image);
    fromPlain(c, inputName, 'copy', plainInput, image, false);
  }
  const backward = network.layers.map((layer) => ({ layer, run: lowerLayer(c, layer) }));
  const plainOutput = viewOf(output, [sizeOf(outputShape)], batchSize);
  if (!isPlain(network)) toPlain(c, network.output, 'copy', c.view(network.output), plainOutput);
  if (!training) return;
  builder.startBackward();
  if (!c.needsGradient(network.output)) return;
  const plainGradient = { ...plainOutput, storage: outputGradient };
  const scaling = half?.scaling;
  if (isPlain(network) && c.readersOf(network.output) === 0 && scaling === undefined) {
    c.setGradient(network.output, plainGradient);
  } else {
    const image = viewOf(
      builder.storage('gradient of the output', plainInput.rows * sizeOf(outputShape)),
      outputShape,
      batchSize,
    );
    c.setGradient(network.output, image);
    fromPlain(c, network.output, 'copy', plainGradient, image, false, scaling && scaledBy(scaling));
  }
  for (const { layer, run } of backward.toReversed()) {
    const dy = c.gradientOf(layer.name);
    if (dy !== undefined) run(dy);
  }
  if (scaling !== undefined) endScaledPass(c, scaling);
}

/** The copy of the weights that products read. */
function roundWeights(c: Lowering, halves: Storage): void {
  const { length } = halves;
  // Parameters begin and end at multiples of four elements.
  const uses = [
    { name: 'weights', type: 'vec4f', storage: c.values },
    { name: 'halves', type: 'vec4h', storage: halves, written: true },
  ] as const;
  c.threads('weights', 'copy', length / 4, uses, '  halves[i] = weights[i];');
}

/** A kernel's run for a lane. */
interface OwnOperation {
  readonly bound: Bound;
  readonly workgroups: readonly [number, number, number];
  readonly words: (draws: ForwardOptions, inputLane: number) => Words;
}

/** What both kinds of plans have. */
class GpuPlan {
  readonly network: Network;
  readonly batchSize: number;
  readonly precision: Precision;
  readonly parameters: GpuArena;
  readonly output: GpuArray;
  protected readonly lane: Lane;
  protected readonly parts: Parts;
  readonly #operations: { readonly forward: readonly OwnOperation[]; readonly backward: readonly OwnOperation[] };
  #input: Float32Array;
  /** Of the lane in whose part of memory the input is. */
  #inputLane: number;

  constructor(parts: Parts) {
    this.parts = parts;
    this.lane = parts.lane;
    this.#inputLane = parts.lane.number;
    this.network = parts.network;
    this.batchSize = parts.batchSize;
    this.precision = parts.precision;
    this.parameters = parts.arena;
    this.output = parts.output;
    const own = (operations: readonly Operation[]) =>
      operations.map(({ bound, workgroups, wordsOf }) => ({ bound, workgroups, words: wordsOf(parts.lane.number) }));
    this.#operations = { forward: own(parts.program.forward), backward: own(parts.program.backward) };
    this.#input = new Float32Array(parts.batchSize * sizeOf(parts.network.inputShape));
  }

  get input(): Float32Array {
    return this.#input;
  }

  bindInput(buffer: Float32Array): void {
    if (buffer.length !== this.#input.length) {
      throw new RangeError(`the input has ${this.#input.length} elements, not ${buffer.length}`);
    }
    this.#input = buffer;
  }

  get memoryBytes(): number {
    const { program, arena, lane, output, outputGradient } = this.parts;
    const fixed = this.#input.length + output.length + outputGradient.length;
    return program.memoryBytes / lane.count + arena.memoryBytes + 4 * fixed;
  }

  protected sendInput(): void {
    // What was enqueued may still read the input before.
    this.lane.write(this.parts.input.buffer, this.parts.input.start, this.#input);
  }

  /** The input of a training's step. */
  protected sendBatch(): void {
    this.#inputLane = this.lane.writeInput(this.parts.input.buffer, this.parts.input.start, this.#input).number;
  }

  protected enqueue(pass: 'forward' | 'backward', draws: ForwardOptions): void {
    for (const { bound, workgroups, words } of this.#operations[pass])
      this.lane.enqueue(bound, workgroups, words(draws, this.#inputLane));
  }

  dispose(): void {
    // What was enqueued uses what is given back.
    this.lane.flushAll();
    this.parts.dispose();
  }
}

class GpuInferencePlan extends GpuPlan implements InferencePlan {
  forward(): void {
    this.sendInput();
    this.enqueue('forward', noDraws);
    this.lane.flush();
  }
}

class GpuTrainingPlan extends GpuPlan implements TrainingPlan, TimedPlan {
  readonly stepsInFlight = stepsInFlight;
  readonly vectorMath: GpuVectorMath;
  readonly lossScaling?: LossScaling;
  readonly outputGradient: GpuArray;
  readonly #updates: GpuVectorMath | undefined;
  readonly #loss: Compiled;
  readonly #lossBuffers: { readonly targets: OwnPart; readonly losses: OwnPart };
  readonly #options: TrainingOptions;
  /** The loss kernel with the arrays that it reads, by the teacher's logits. */
  readonly #boundLosses = new Map<GPUBuffer | undefined, Bound>();
  #pending = 0;
  #targetsInUse = false;
  #draws: ForwardOptions | undefined;

  constructor(parts: Parts, options: TrainingOptions, loss: Compiled) {
    super(parts);
    const { lane, batchSize } = parts;
    this.#options = options;
    this.#loss = loss;
    this.vectorMath = new GpuVectorMath(lane, parts.tuning);
    if (parts.scaling !== undefined) {
      this.#updates = new GpuVectorMath(lane, parts.tuning, parts.scaling);
      this.lossScaling = scalingOf(parts.scaling, this.#updates);
    }
    this.outputGradient = parts.outputGradient;
    this.#lossBuffers = {
      targets: lane.createBuffer(3 * batchSize, 'targets'),
      losses: lane.createBuffer(stepsInFlight * batchSize, 'losses'),
    };
  }

  get #wholeBatchSize(): number {
    return this.#options.loss?.wholeBatchSize ?? this.batchSize;
  }

  async prepareStep(): Promise<void> {
    await this.lane.beginStep();
  }

  forward(options: ForwardOptions): void {
    this.lane.gpu.check();
    this.sendBatch();
    this.#targetsInUse = false;
    this.#draws = options;
    this.enqueue('forward', options);
  }

  computeLoss({ labels, mixed, teacherLogits }: Targets): void {
    const { lane, batchSize } = this;
    if (labels.length !== batchSize) throw new RangeError(`there are ${labels.length} labels for a batch of ${batchSize}`);
    if (this.#pending === stepsInFlight) throw new Error(`the losses of ${stepsInFlight} steps have not been taken`);
    const targets = new Uint32Array(3 * batchSize);
    targets.set(labels);
    targets.set(mixed?.labels ?? labels, batchSize);
    new Float32Array(targets.buffer).fill(1 - (mixed?.share ?? 0), 2 * batchSize);
    const { buffer, start } = this.#lossBuffers.targets;
    if (this.#targetsInUse) lane.write(buffer, start, targets);
    else lane.writeAhead(buffer, start, targets);
    this.#targetsInUse = true;
    const teacher = teacherLogits === undefined ? undefined : requireOwn(lane, teacherLogits);
    lane.enqueue(this.#boundLoss(teacher), workgroupsFor(batchSize, lane.gpu.tuning.workgroupSize), this.#lossWords(teacher));
    this.#pending++;
  }

  #boundLoss(teacher: GpuArray | undefined): Bound {
    const wanted = this.#options.loss?.distillation !== undefined;
    if (wanted !== (teacher !== undefined)) throw new Error("a teacher's logits go with a loss that has distillation");
    const known = this.#boundLosses.get(teacher?.buffer);
    if (known !== undefined) return known;
    if (teacher !== undefined && teacher.length !== this.output.length) {
      throw new RangeError(`a teacher gives ${this.output.length} logits, not ${teacher.length}`);
    }
    const bound = this.lane.gpu.bind(
      this.#loss,
      this.#lossParts(teacher).map(({ buffer }) => buffer),
      'loss',
      { pass: 'loss' },
    );
    this.#boundLosses.set(teacher?.buffer, bound);
    return bound;
  }

  /** In the order of the kernel's buffers. */
  #lossParts(teacher: GpuArray | undefined): readonly { readonly buffer: GPUBuffer; readonly start: number }[] {
    const { targets, losses } = this.#lossBuffers;
    return [this.output, this.outputGradient, targets, losses, ...(teacher === undefined ? [] : [teacher])];
  }

  #lossWords(teacher: GpuArray | undefined): Words {
    const { labelSmoothing = 0, distillation } = this.#options.loss ?? {};
    const numbers = lossNumbers(sizeOf(this.network.outputShape), labelSmoothing, distillation);
    const starts = this.#lossParts(teacher).map(({ start }) => start);
    return Uint32Array.of(...starts, this.#pending * this.batchSize, ...new Uint32Array(numbers.buffer));
  }

  async takeLosses(): Promise<Float64Array> {
    const count = this.#pending;
    this.#pending = 0;
    const { batchSize, lane } = this;
    const { buffer, start } = this.#lossBuffers.losses;
    const values = new Float32Array(await lane.read(buffer, start, start + count * batchSize));
    return Float64Array.from({ length: count }, (_, step) => {
      let sum = 0;
      for (let n = step * batchSize; n < (step + 1) * batchSize; n++) sum += values[n]!;
      return sum / this.#wholeBatchSize;
    });
  }

  backward(onProgress?: (finalFrom: number) => void): void {
    if (this.#draws === undefined) throw new Error('backward needs a forward pass before it');
    this.enqueue('backward', this.#draws);
    onProgress?.(0);
  }

  timeKernels(work: () => Promise<unknown>): Promise<KernelTimes> {
    const { lane } = this;
    lane.flushAll();
    return lane.gpu.time(async () => {
      await work();
      lane.flushAll();
    });
  }

  measureCeilings(): Promise<DeviceCeilings> {
    return measureCeilings(this.lane.gpu);
  }

  override get memoryBytes(): number {
    return super.memoryBytes + 4 * (3 + stepsInFlight) * this.batchSize;
  }

  override dispose(): void {
    super.dispose();
    this.vectorMath.dispose();
    this.#updates?.dispose();
    this.#lossBuffers.targets.release();
    this.#lossBuffers.losses.release();
  }
}

function scalingOf(state: GpuArray, updates: VectorMath): LossScaling {
  return {
    ...{ updates, leastScale },
    read: async () => decodeState(await state.read()),
    write: (scale: LossScale) => state.write(encodeState(scale)),
  };
}

export async function compileInferencePlan(
  lane: Lane,
  network: Network,
  options: CompileOptions,
  tuning: Tuning,
): Promise<InferencePlan> {
  return new GpuInferencePlan(await compile(lane, network, options, false, tuning));
}

export async function compileTrainingPlan(
  lane: Lane,
  network: Network,
  options: TrainingOptions,
  tuning: Tuning,
): Promise<TrainingPlan> {
  const processes = options.sharedBatch?.processes ?? 1;
  if (processes > 1) {
    throw new ConfigurationError(
      `a training in ${processes} processes needs an engine other than ${engineName}: each process would want the same device`,
      {
        fix: 'start one process, or use --engine onednn',
      },
    );
  }
  const parts = await compile(lane, network, options, true, tuning);
  try {
    const { gpu } = lane;
    const { wholeBatchSize = options.batchSize, distillation } = options.loss ?? {};
    const { workgroupSize } = gpu.tuning;
    const teaches = distillation !== undefined;
    const classes = sizeOf(network.outputShape);
    const text = lossText({
      ...{ classes, wholeBatchSize, teaches, workgroupSize },
      batchSize: options.batchSize,
    });
    const written = lossBuffers(teaches).map((buffer) => buffer.written === true);
    await parts.scaling?.write(encodeState(firstState));
    return new GpuTrainingPlan(parts, options, await gpu.compile(text, written));
  } catch (error) {
    parts.dispose();
    throw error;
  }
}
