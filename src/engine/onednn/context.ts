/**
 * What a layer's lowering works with: the program being written, the parameters in their arenas, and the questions whose answers
 * depend on the rest of the network (training or not, who consumes a tensor).
 */
import type { Layer, LayerKind, LayerOf } from '../../nn/layer.ts';
import type { CustomLayers } from '../../nn/custom.ts';
import { ownName, type ParameterSpec } from '../../nn/parameter.ts';
import type { Precision, SharedBatch } from '../engine.ts';
import type { NetworkAnalysis } from './analysis.ts';
import type { MemoryDescriptor, Primitive } from './dnnl.ts';
import { isReference, type ProgramBuilder, type Value } from './program.ts';

/** A parameter while the program is written: its values, and its gradient where it has one. */
export interface PlacedParameter {
  readonly spec: ParameterSpec;
  readonly descriptor: MemoryDescriptor;
  readonly values: Value;
  readonly gradients: Value | undefined;
}

/** Of those that there are, what the engine computes in. */
export type OwnPrecision = Exclude<Precision, 'f16'>;

export interface CompileSettings {
  readonly batchSize: number;
  readonly precision: OwnPrecision;
  readonly training: boolean;
  /** OpenMP's: they share the work of every kernel. */
  readonly threads: number;
  /** The network's. */
  readonly customLayers?: CustomLayers | undefined;
  /** In training, where batch normalization works over several processes. */
  readonly sharedBatch?: SharedBatch | undefined;
  /** Given the bytes that the compiled network will take, before they are allocated; throws if there are not so many. */
  readonly requireMemory?: (bytes: number) => void;
}

export class LoweringContext {
  readonly program: ProgramBuilder;
  readonly settings: CompileSettings;
  readonly analysis: NetworkAnalysis;
  readonly batchSize: number;
  readonly training: boolean;
  /** Of the plan; a layer may need float32 in bf16 (`dataTypeOf`). */
  readonly precision: OwnPrecision;
  readonly sharedBatch: SharedBatch | undefined;
  readonly parameters: PlacedParameter[] = [];
  /** Layers whose lowering has applied the ReLU that follows them. */
  readonly rectified = new Set<string>();
  /** Copies of parameters in other layouts than the arena's. */
  readonly #copies = new Map<PlacedParameter, Value[]>();

  constructor(program: ProgramBuilder, settings: CompileSettings, analysis: NetworkAnalysis) {
    this.program = program;
    this.settings = settings;
    this.analysis = analysis;
    this.batchSize = settings.batchSize;
    this.training = settings.training;
    this.sharedBatch = settings.sharedBatch;
    this.precision = settings.precision;
  }

  /**
   * What a convolution or dense layer works in: its input and output, their gradients, and the weights as its kernels read them. Other
   * layers take the type of their input. The layer that makes the logits works in float32: it is small, and the loss needs small
   * differences. So does one of whose `kernels` bf16 has only general ones where float32 has one made for the shape: it would be slower.
   * (Backward-weights of an image is such a case, where the filters are no multiple of 16.)
   *
   * @param kernels those of a data type, undefined where oneDNN has none, in the same order for each. By default they are not compared.
   */
  dataTypeOf(layer: string, kernels: (dataType: OwnPrecision) => readonly (Primitive | undefined)[] = () => []): OwnPrecision {
    if (this.precision === 'f32' || this.analysis.logits === layer) return 'f32';
    const float32 = kernels('f32');
    const isSlow = kernels('bf16').some((kernel, i) => !isMadeForShape(kernel) && isMadeForShape(float32[i]));
    return isSlow ? 'f32' : 'bf16';
  }

  /** Whether anything in training wants the gradient of a layer's input. */
  wantsInputGradient(layer: Layer): boolean {
    return this.training && layer.inputs.some((name) => this.analysis.differentiated.has(name));
  }

  /** Whether only a ReLU reads a batch normalization's output, so that its kernel may apply it. */
  mayRectify(layer: string): boolean {
    return this.analysis.rectified.has(layer);
  }

  /** Whether a layer's fused ReLU masks the gradient in the layer's own backward pass, and not later in the network. */
  masksOwnRelu(layer: string): boolean {
    return !this.analysis.unmasked.has(layer);
  }

  /** Whether a layer masks the gradient of its output for the ReLUs before it. */
  masksEarlierRelus(layer: string): boolean {
    return this.analysis.masking.has(layer);
  }

  /**
   * Places a parameter of `layer` in the arena in the given layout, or finds it there.
   *
   * @param name what the layer calls it, `weight`
   * @returns undefined where the layer has no such parameter.
   */
  parameter(layer: Layer, name: string, descriptor: MemoryDescriptor): PlacedParameter | undefined {
    const spec = layer.parameters.find((candidate) => ownName(candidate) === name);
    if (spec === undefined) return undefined;
    const known = this.parameters.find((parameter) => parameter.spec === spec);
    if (known !== undefined) return known;
    const hasGradient = this.training && spec.kind !== 'statistic';
    const placed: PlacedParameter = {
      spec,
      descriptor,
      values: this.program.persistent(descriptor),
      gradients: hasGradient ? this.program.persistent(descriptor) : undefined,
    };
    this.parameters.push(placed);
    return placed;
  }

  /** A parameter's values in another layout: copied once in a step, as they do not change in it. */
  valuesIn(layer: Layer, parameter: PlacedParameter, descriptor: MemoryDescriptor): Value {
    const { program } = this;
    const known = [parameter.values, ...(this.#copies.get(parameter) ?? [])];
    const found = known.find((value) => program.dnnl.equal(value.descriptor, descriptor));
    if (found !== undefined) return found;
    const copy = { ...program.inLayout(layer.name, parameter.values, descriptor), shared: true };
    this.#copies.set(parameter, [...(this.#copies.get(parameter) ?? []), copy]);
    return copy;
  }

  /** Where a backward pass puts a parameter's gradient: the arena, or for a frozen parameter memory that nobody reads. */
  gradientTarget(parameter: PlacedParameter): Value {
    return parameter.spec.kind === 'trainable' ? parameter.gradients! : this.program.value(parameter.descriptor);
  }
}

/**
 * For layers that are lowered once for each part of the batch. Their parameters are placed once, by the first part; the gradients of each part
 * have memory of their own until `sumGradients`.
 */
export class PartContext extends LoweringContext {
  readonly #gradients = new Map<PlacedParameter, Value[]>();

  /** @param examples in a part */
  constructor({ program, settings, analysis }: LoweringContext, examples: number) {
    super(program, { ...settings, batchSize: examples }, analysis);
  }

  override gradientTarget(parameter: PlacedParameter): Value {
    const target = this.program.value(parameter.descriptor);
    this.#gradients.set(parameter, [...(this.#gradients.get(parameter) ?? []), target]);
    return target;
  }

  /** The gradients of the whole batch: those of all parts, summed into the arena. */
  sumGradients(layer: Layer): void {
    for (const [parameter, gradients] of this.#gradients) {
      if (parameter.spec.kind === 'trainable') this.program.sum(layer.name, gradients, parameter.gradients);
    }
  }
}

/** Not oneDNN's reference kernel, nor for a convolution a matrix product over a copy of its unfolded input. */
function isMadeForShape(kernel: Primitive | undefined): boolean {
  return kernel !== undefined && !isReference(kernel) && !kernel.implementation.includes(':gemm');
}

/** The descriptor, as a list to choose from, if a kernel of the given type can read it. */
export function asGiven(descriptor: MemoryDescriptor, dataType: Precision): MemoryDescriptor[] {
  return descriptor.dataType === dataType ? [descriptor] : [];
}

/** A layer as lowered: its output, and how the gradient of its output becomes those of its inputs and parameters. */
export interface Lowered {
  readonly output: Value;
  /**
   * Writes the backward pass. `gradient` is d loss / d output; `needs[i]` says whether input i wants its gradient. Returns one gradient
   * per input, undefined where not needed. Absent in inference.
   */
  readonly backward?: (gradient: Value, needs: readonly boolean[]) => readonly (Value | undefined)[];
}

export type Lowering<K extends LayerKind> = (context: LoweringContext, layer: LayerOf<K>, inputs: readonly Value[]) => Lowered;
