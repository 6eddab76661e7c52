/**
 * What a layer's lowering works with: the program being written, the parameters in their arenas, and the questions whose answers
 * depend on the rest of the network (training or not, who consumes a tensor).
 */
import type { Layer, LayerKind, LayerOf } from '../../nn/layer.ts';
import type { ParameterRole, ParameterSpec } from '../../nn/parameter.ts';
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

export interface CompileSettings {
  readonly batchSize: number;
  readonly precision: Precision;
  readonly training: boolean;
  /** In training, where batch normalization works over several processes. */
  readonly sharedBatch?: SharedBatch | undefined;
}

export class LoweringContext {
  readonly program: ProgramBuilder;
  readonly batchSize: number;
  readonly training: boolean;
  /** Of the plan; a layer may need float32 in bf16 (`dataTypeOf`). */
  readonly precision: Precision;
  readonly sharedBatch: SharedBatch | undefined;
  readonly parameters: PlacedParameter[] = [];
  /** Layers whose lowering has applied the ReLU that follows them. */
  readonly rectified = new Set<string>();
  readonly #analysis: NetworkAnalysis;

  constructor(program: ProgramBuilder, options: CompileSettings, analysis: NetworkAnalysis) {
    this.program = program;
    this.batchSize = options.batchSize;
    this.training = options.training;
    this.sharedBatch = options.sharedBatch;
    this.precision = options.precision;
    this.#analysis = analysis;
  }

  /**
   * What a convolution or dense layer works in: its input and output, their gradients, and the weights as its kernels read them. Other
   * layers take the type of their input. The layer that makes the logits works in float32: it is small, and the loss needs small
   * differences. So does one of whose `kernels` bf16 has only general ones where float32 has one made for the shape: it would be slower.
   * (Backward-weights of an image is such a case, where the filters are no multiple of 16.)
   *
   * @param kernels those of a data type, undefined where oneDNN has none, in the same order for each. By default they are not compared.
   */
  dataTypeOf(layer: string, kernels: (dataType: Precision) => readonly (Primitive | undefined)[] = () => []): Precision {
    if (this.precision === 'f32' || this.#analysis.logits === layer) return 'f32';
    const float32 = kernels('f32');
    const isSlow = kernels('bf16').some((kernel, i) => !isMadeForShape(kernel) && isMadeForShape(float32[i]));
    return isSlow ? 'f32' : 'bf16';
  }

  /** Whether anything in training wants the gradient of a layer's input. */
  wantsInputGradient(layer: Layer): boolean {
    return this.training && layer.inputs.some((name) => this.#analysis.differentiated.has(name));
  }

  /** Whether only a ReLU reads a batch normalization's output, so that its kernel may apply it. */
  mayRectify(layer: string): boolean {
    return this.#analysis.rectified.has(layer);
  }

  /** Whether a layer's fused ReLU masks the gradient in the layer's own backward pass, and not later in the network. */
  masksOwnRelu(layer: string): boolean {
    return !this.#analysis.unmasked.has(layer);
  }

  /** Whether a layer masks the gradient of its output for the ReLUs before it. */
  masksEarlierRelus(layer: string): boolean {
    return this.#analysis.masking.has(layer);
  }

  /**
   * Places a parameter of `layer` in the arena in the given layout.
   *
   * @returns undefined where the layer has no parameter of that role.
   */
  parameter(layer: Layer, role: ParameterRole, descriptor: MemoryDescriptor): PlacedParameter | undefined {
    const spec = layer.parameters.find((candidate) => candidate.role === role);
    if (spec === undefined) return undefined;
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

  /** Where a backward pass puts a parameter's gradient: the arena, or for a frozen parameter memory that nobody reads. */
  gradientTarget(parameter: PlacedParameter): Value {
    return parameter.spec.kind === 'trainable' ? parameter.gradients! : this.program.value(parameter.descriptor);
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
