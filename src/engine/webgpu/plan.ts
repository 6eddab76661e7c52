/** A network compiled for a device: its program with the arrays that outlive a step. */
import type { Network } from '../../nn/network.ts';
import { inputName } from '../../nn/network.ts';
import { sizeOf } from '../../nn/shape.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { GpuArena, planArena } from './arena.ts';
import { engineName, GpuArray, requireOwn } from './array.ts';
import type { Bound, Compiled, Gpu } from './gpu.ts';
import type { CompileOptions, ForwardOptions, InferencePlan, Targets, TrainingOptions, TrainingPlan } from '../engine.ts';
import { lossText } from './kernels/loss.ts';
import type { DeviceCeilings, KernelTimes, TimedPlan } from '../kernel-times.ts';
import { measureCeilings } from './ceilings.ts';
import { workgroupsFor } from './kernels/shader.ts';
import { fromPlain, toPlain } from './layers/elementwise.ts';
import { lowerLayer } from './layers/table.ts';
import { isPlain, Lowering } from './lowering.ts';
import { ProgramBuilder, type Operation, type Program } from './program.ts';
import { viewOf, type Storage } from './tensor.ts';
import type { Tuning } from './tuning.ts';
import { GpuVectorMath } from './vector-math.ts';

/** Steps whose losses there is room for: a training may be that far ahead of the device. */
const stepsInFlight = 32;

const noDraws: ForwardOptions = { seed: 0, step: 0 };

/** What both kinds of plans are made of. */
interface Parts {
  readonly gpu: Gpu;
  readonly tuning: Tuning;
  readonly network: Network;
  readonly batchSize: number;
  readonly arena: GpuArena;
  readonly program: Program;
  /** `[N, C, H, W]`, as it comes from the host. */
  readonly inputBuffer: GPUBuffer;
  readonly output: GpuArray;
  readonly outputGradient: GpuArray;
}

/** @throws ConfigurationError for a batch size, a precision or layers that the engine does not have, and for a network that is too large for the device */
async function compile(gpu: Gpu, network: Network, options: CompileOptions, training: boolean, tuning: Tuning): Promise<Parts> {
  const { batchSize, precision = 'f32' } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new ConfigurationError(`batchSize (=${batchSize}) must be a positive integer`);
  }
  if (precision !== 'f32') {
    throw new ConfigurationError(
      `precision (="${precision}") must be "f32" on the engine webgpu: its shading language has no bf16`,
      {
        fix: '--precision f32, or --engine onednn',
      },
    );
  }
  gpu.check();
  const plan = planArena(network);
  const refusal = (bytes: number, message: string) =>
    new ConfigurationError(
      `network "${network.name}" with a batch of ${batchSize} takes more memory than there is on ${gpu.description} (${(bytes / 2 ** 20).toFixed(0)} MiB: ${message})`,
      { fix: 'a smaller batch, smaller images or fewer filters' },
    );
  const inputLength = batchSize * sizeOf(network.inputShape);
  const outputLength = batchSize * sizeOf(network.outputShape);
  const longest = 4 * Math.max(plan.length, inputLength, outputLength);
  if (longest > gpu.largestBuffer) throw refusal(longest, `arrays on this device have ${gpu.largestBuffer} bytes at most`);
  const made = await gpu.guardMemory(
    () => ({
      arena: new GpuArena(gpu, plan, { gradients: training }),
      inputBuffer: gpu.createBuffer(inputLength, 'input'),
      output: gpu.createBuffer(outputLength, 'output'),
      outputGradient: gpu.createBuffer(training ? outputLength : 0, 'output gradient'),
    }),
    (message) => refusal(4 * (2 * plan.length + inputLength + 2 * outputLength), message),
  );
  const { arena, inputBuffer } = made;
  const release = () => {
    arena.dispose();
    for (const buffer of [inputBuffer, made.output, made.outputGradient]) buffer.destroy();
  };
  try {
    const fixed = (label: string, buffer: GPUBuffer, length: number): Storage => ({ label, length, buffer });
    const builder = new ProgramBuilder();
    const lowering = new Lowering({
      ...{ network, batchSize, training, builder, tuning, entries: arena.entries },
      values: fixed('parameters', arena.values.buffer, plan.length),
      gradients: fixed('gradients', arena.gradients.buffer, plan.trainableLength),
      output: fixed('output', made.output, outputLength),
      outputGradient: fixed('output gradient', made.outputGradient, outputLength),
    });
    lowerNetwork(lowering, fixed('input', inputBuffer, inputLength));
    const program = await builder.build(gpu, refusal);
    const dispose = () => {
      program.dispose();
      release();
    };
    return {
      ...{ gpu, tuning, network, batchSize, arena, inputBuffer, program: { ...program, dispose } },
      output: new GpuArray(gpu, made.output, 0, outputLength),
      outputGradient: new GpuArray(gpu, made.outputGradient, 0, training ? outputLength : 0),
    };
  } catch (error) {
    release();
    throw error;
  }
}

/** Writes the kernels of the forward pass and, in training, of the backward pass. */
function lowerNetwork(c: Lowering, inputStorage: Storage): void {
  const { network, batchSize, builder, training, output, outputGradient } = c.options;
  const { inputShape, outputShape } = network;
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
  if (isPlain(network) && c.readersOf(network.output) === 0) {
    c.setGradient(network.output, plainGradient);
  } else {
    const image = viewOf(
      builder.storage('gradient of the output', plainInput.rows * sizeOf(outputShape)),
      outputShape,
      batchSize,
    );
    c.setGradient(network.output, image);
    fromPlain(c, network.output, 'copy', plainGradient, image, false);
  }
  for (const { layer, run } of backward.toReversed()) {
    const dy = c.gradientOf(layer.name);
    if (dy !== undefined) run(dy);
  }
}

/** What both kinds of plans have. */
class GpuPlan {
  readonly network: Network;
  readonly batchSize: number;
  readonly precision = 'f32';
  readonly parameters: GpuArena;
  readonly output: GpuArray;
  protected readonly gpu: Gpu;
  protected readonly parts: Parts;
  #input: Float32Array;

  constructor(parts: Parts) {
    this.parts = parts;
    this.gpu = parts.gpu;
    this.network = parts.network;
    this.batchSize = parts.batchSize;
    this.parameters = parts.arena;
    this.output = parts.output;
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
    const { program, arena, inputBuffer, output, outputGradient } = this.parts;
    return program.memoryBytes + arena.memoryBytes + inputBuffer.size + 4 * (output.length + outputGradient.length);
  }

  protected sendInput(): void {
    // What was enqueued may still read the input before.
    this.gpu.write(this.parts.inputBuffer, 0, this.#input);
  }

  protected enqueue(operations: readonly Operation[], draws: ForwardOptions): void {
    for (const { bound, workgroups, words } of operations) this.gpu.enqueue(bound, workgroups, words?.(draws));
  }

  dispose(): void {
    this.gpu.flush();
    this.parts.program.dispose();
  }
}

class GpuInferencePlan extends GpuPlan implements InferencePlan {
  forward(): void {
    this.sendInput();
    this.enqueue(this.parts.program.forward, noDraws);
    this.gpu.flush();
  }
}

class GpuTrainingPlan extends GpuPlan implements TrainingPlan, TimedPlan {
  readonly stepsInFlight = stepsInFlight;
  readonly vectorMath: GpuVectorMath;
  readonly outputGradient: GpuArray;
  readonly #loss: Compiled;
  readonly #lossBuffers: { readonly targets: GPUBuffer; readonly losses: GPUBuffer };
  readonly #options: TrainingOptions;
  /** The loss kernel with the arrays that it reads, by the teacher's logits. */
  readonly #boundLosses = new Map<GPUBuffer | undefined, Bound>();
  #pending = 0;
  #targetsInUse = false;
  #draws: ForwardOptions | undefined;

  constructor(parts: Parts, options: TrainingOptions, loss: Compiled) {
    super(parts);
    const { gpu, batchSize } = parts;
    this.#options = options;
    this.#loss = loss;
    this.vectorMath = new GpuVectorMath(gpu, parts.tuning);
    this.outputGradient = parts.outputGradient;
    this.#lossBuffers = {
      targets: gpu.createBuffer(3 * batchSize, 'targets'),
      losses: gpu.createBuffer(stepsInFlight * batchSize, 'losses'),
    };
  }

  get #wholeBatchSize(): number {
    return this.#options.loss?.wholeBatchSize ?? this.batchSize;
  }

  forward(options: ForwardOptions): void {
    this.gpu.check();
    this.sendInput();
    this.#targetsInUse = false;
    this.#draws = options;
    this.enqueue(this.parts.program.forward, options);
  }

  computeLoss({ labels, mixed, teacherLogits }: Targets): void {
    const { gpu, batchSize } = this;
    if (labels.length !== batchSize) throw new RangeError(`there are ${labels.length} labels for a batch of ${batchSize}`);
    if (this.#pending === stepsInFlight) throw new Error(`the losses of ${stepsInFlight} steps have not been taken`);
    const targets = new Uint32Array(3 * batchSize);
    targets.set(labels);
    targets.set(mixed?.labels ?? labels, batchSize);
    new Float32Array(targets.buffer).fill(1 - (mixed?.share ?? 0), 2 * batchSize);
    if (this.#targetsInUse) gpu.flush();
    gpu.writeAhead(this.#lossBuffers.targets, 0, targets);
    this.#targetsInUse = true;
    gpu.enqueue(
      this.#boundLoss(teacherLogits === undefined ? undefined : requireOwn(gpu, teacherLogits)),
      workgroupsFor(batchSize, gpu.tuning.workgroupSize),
      Uint32Array.of(this.#pending++ * batchSize),
    );
  }

  #boundLoss(teacher: GpuArray | undefined): Bound {
    const wanted = this.#options.loss?.distillation !== undefined;
    if (wanted !== (teacher !== undefined)) throw new Error("a teacher's logits go with a loss that has distillation");
    const known = this.#boundLosses.get(teacher?.buffer);
    if (known !== undefined) return known;
    if (teacher !== undefined && (teacher.start !== 0 || teacher.length !== this.output.length)) {
      throw new RangeError(`a teacher gives ${this.output.length} logits, not ${teacher.length}`);
    }
    const { targets, losses } = this.#lossBuffers;
    const buffers = [this.output.buffer, this.outputGradient.buffer, targets, losses];
    const all = teacher === undefined ? buffers : [...buffers, teacher.buffer];
    const bound = this.gpu.bind(
      this.#loss,
      all.map((buffer) => ({ buffer })),
      'loss',
      { pass: 'loss' },
    );
    this.#boundLosses.set(teacher?.buffer, bound);
    return bound;
  }

  async takeLosses(): Promise<Float64Array> {
    const count = this.#pending;
    this.#pending = 0;
    const { batchSize, gpu } = this;
    const values = new Float32Array(await gpu.read(this.#lossBuffers.losses, 0, count * batchSize));
    return Float64Array.from({ length: count }, (_, step) => {
      let sum = 0;
      for (let n = step * batchSize; n < (step + 1) * batchSize; n++) sum += values[n]!;
      return sum / this.#wholeBatchSize;
    });
  }

  backward(onProgress?: (finalFrom: number) => void): void {
    if (this.#draws === undefined) throw new Error('backward needs a forward pass before it');
    this.enqueue(this.parts.program.backward, this.#draws);
    onProgress?.(0);
  }

  timeKernels(work: () => Promise<unknown>): Promise<KernelTimes> {
    return this.gpu.time(work);
  }

  measureCeilings(): Promise<DeviceCeilings> {
    return measureCeilings(this.gpu);
  }

  override get memoryBytes(): number {
    return super.memoryBytes + this.#lossBuffers.targets.size + this.#lossBuffers.losses.size;
  }

  override dispose(): void {
    super.dispose();
    this.vectorMath.dispose();
    this.#lossBuffers.targets.destroy();
    this.#lossBuffers.losses.destroy();
  }
}

export async function compileInferencePlan(
  gpu: Gpu,
  network: Network,
  options: CompileOptions,
  tuning: Tuning,
): Promise<InferencePlan> {
  return new GpuInferencePlan(await compile(gpu, network, options, false, tuning));
}

export async function compileTrainingPlan(
  gpu: Gpu,
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
  const parts = await compile(gpu, network, options, true, tuning);
  try {
    const { labelSmoothing = 0, wholeBatchSize = options.batchSize, distillation } = options.loss ?? {};
    const { workgroupSize } = gpu.tuning;
    const classes = sizeOf(network.outputShape);
    const text = lossText({
      ...{ classes, wholeBatchSize, labelSmoothing, distillation, workgroupSize },
      batchSize: options.batchSize,
    });
    const written = [false, true, false, true, ...(distillation === undefined ? [] : [false])];
    return new GpuTrainingPlan(parts, options, await gpu.compile(text, written));
  } catch (error) {
    parts.program.dispose();
    throw error;
  }
}
