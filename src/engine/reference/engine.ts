import type { Network } from '../../nn/network.ts';
import { sizeOf } from '../../nn/shape.ts';
import { ConfigurationError } from '../../util/errors.ts';
import type {
  CompileOptions,
  DeviceArray,
  Engine,
  ForwardOptions,
  InferencePlan,
  LossOptions,
  ParameterArena,
  SharedBatch,
  Targets,
  TrainingOptions,
  TrainingPlan,
} from '../engine.ts';
import { requireFunctions } from '../custom-layer.ts';
import { batchLoss } from '../loss.ts';
import { createPlainArena } from './arena.ts';
import { newArray, valuesOf } from './array.ts';
import { runBackward, runForward, type Activations, type NamedArrays } from './execute.ts';
import { ownBatch, type TrainingMode } from './layer.ts';
import { vectorMath } from './vector-math.ts';

/**
 * The oracle: a slow and obvious engine in plain TypeScript, float32 at its boundary and float64 inside. Not for training in earnest.
 * Throws ConfigurationError for a batch size that is no positive integer and for a precision other than f32.
 */
export const referenceEngine: Engine = {
  name: 'reference',
  description: 'plain TypeScript, in float64',
  threads: 1,
  versions: {},
  dispose: () => undefined,
  // eslint-disable-next-line @typescript-eslint/require-await -- what is wrong rejects, as it does where kernels are compiled
  compileTraining: async (network, options) => new ReferenceTrainingPlan(network, options),
  // eslint-disable-next-line @typescript-eslint/require-await -- as above
  compileInference: async (network, options) => new ReferenceInferencePlan(network, options),
};

/** What both plans hold: parameters, input and output. */
class ReferencePlan {
  readonly network: Network;
  readonly batchSize: number;
  readonly precision = 'f32';
  readonly parameters: ParameterArena;
  readonly output: DeviceArray;
  #input: Float32Array;

  constructor(network: Network, { batchSize, precision = 'f32' }: CompileOptions, gradients: boolean) {
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new ConfigurationError(`batchSize (=${batchSize}) must be a positive integer`);
    }
    if (precision !== 'f32') {
      throw new ConfigurationError(`precision (="${precision}") must be "f32" on the reference engine`, {
        fix: '--precision f32',
      });
    }
    requireFunctions(network);
    this.network = network;
    this.batchSize = batchSize;
    this.parameters = createPlainArena(network.parameters, { gradients });
    this.#input = new Float32Array(batchSize * sizeOf(network.inputShape));
    this.output = newArray(batchSize * sizeOf(network.outputShape));
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
    const { values, gradients } = this.parameters;
    const activations = this.network.layers.reduce((sum, layer) => sum + sizeOf(layer.outputShape), 0) * this.batchSize;
    const float32 = values.length + gradients.length + this.#input.length + this.output.length;
    return 4 * float32 + 8 * (values.length + this.#input.length + activations);
  }

  dispose(): void {
    // Nothing is held outside the garbage collector's reach.
  }

  /** The arena's values in float64, by name. */
  protected readParameters(): NamedArrays {
    const { entries } = this.parameters;
    const values = valuesOf(this.parameters.values);
    return new Map(
      entries.map(({ spec, offset, length }) => [spec.name, Float64Array.from(values.subarray(offset, offset + length))]),
    );
  }

  /** Writes arrays by name into one in the arena's layout: those of the running statistics, or those of all other parameters. */
  protected writeParameters(which: 'statistics' | 'others', from: NamedArrays, into: DeviceArray): void {
    for (const entry of this.parameters.entries) {
      if ((entry.spec.kind === 'statistic') !== (which === 'statistics')) continue;
      valuesOf(into).set(from.get(entry.spec.name)!, entry.offset);
    }
  }
}

class ReferenceInferencePlan extends ReferencePlan implements InferencePlan {
  constructor(network: Network, options: CompileOptions) {
    super(network, options, false);
  }

  forward(): void {
    const input = Float64Array.from(this.input);
    const { tensors } = runForward(this.network, this.batchSize, this.readParameters(), input, { training: false });
    valuesOf(this.output).set(tensors.get(this.network.output)!);
  }
}

interface ForwardPass {
  readonly activations: Activations;
  readonly parameters: NamedArrays;
  readonly mode: TrainingMode;
}

class ReferenceTrainingPlan extends ReferencePlan implements TrainingPlan {
  readonly vectorMath = vectorMath;
  readonly outputGradient: DeviceArray;
  readonly stepsInFlight = 1;
  readonly #sharedBatch: SharedBatch;
  readonly #loss: LossOptions;
  #losses: number[] = [];
  /** The last forward pass, for the backward pass that may follow. */
  #last: ForwardPass | undefined;

  constructor(network: Network, options: TrainingOptions) {
    super(network, options, true);
    this.#sharedBatch = options.sharedBatch ?? ownBatch;
    this.#loss = options.loss ?? {};
    this.outputGradient = newArray(this.output.length);
  }

  override get memoryBytes(): number {
    const activations = this.network.layers.reduce((sum, layer) => sum + sizeOf(layer.outputShape), 0) * this.batchSize;
    return super.memoryBytes + 4 * this.outputGradient.length + 8 * (this.parameters.length + this.input.length + activations);
  }

  forward(draws: ForwardOptions): void {
    const parameters = this.readParameters();
    const input = Float64Array.from(this.input);
    const mode = { training: true, draws, sharedBatch: this.#sharedBatch } as const;
    const activations = runForward(this.network, this.batchSize, parameters, input, mode);
    this.writeParameters('statistics', parameters, this.parameters.values);
    valuesOf(this.output).set(activations.tensors.get(this.network.output)!);
    this.#last = { activations, parameters, mode };
  }

  computeLoss({ teacherLogits, ...targets }: Targets): void {
    const hostTargets = { ...targets, teacherLogits: teacherLogits && valuesOf(teacherLogits) };
    this.#losses.push(batchLoss(valuesOf(this.output), hostTargets, this.#loss, valuesOf(this.outputGradient)));
  }

  takeLosses(): Promise<Float64Array> {
    const losses = Float64Array.from(this.#losses);
    this.#losses = [];
    return Promise.resolve(losses);
  }

  backward(onProgress?: (finalFrom: number) => void): void {
    if (this.#last === undefined) throw new Error('backward needs a forward pass before it');
    const { activations, parameters, mode } = this.#last;
    const outputGradient = Float64Array.from(valuesOf(this.outputGradient));
    const gradients = runBackward(this.network, activations, parameters, outputGradient, mode);
    this.writeParameters('others', gradients.parameters, this.parameters.gradients);
    onProgress?.(0);
  }
}
