/** Compiles a network for a batch size into a program: forward, and for training the backward pass behind it. */
import type { Layer, LayerKind, LayerOf } from '../../nn/layer.ts';
import { inputName, type Network } from '../../nn/network.ts';
import { sizeOf } from '../../nn/shape.ts';
import type { ParameterArena } from '../engine.ts';
import { analyse, type NetworkAnalysis } from './analysis.ts';
import { createArena } from './arena.ts';
import { LoweringContext, type CompileSettings, type Lowered, type Lowering } from './context.ts';
import type { Dnnl } from './dnnl.ts';
import { lowerDropout, lowerGelu, lowerRelu, lowerScale } from './lowerings/activation.ts';
import { lowerBatchNorm } from './lowerings/batch-norm.ts';
import { lowerConv } from './lowerings/conv.ts';
import { lowerDense } from './lowerings/dense.ts';
import { lowerLrn } from './lowerings/lrn.ts';
import { lowerAvgPool, lowerGlobalAvgPool, lowerMaxPool } from './lowerings/pool.ts';
import { lowerAdd, lowerConcat, lowerFlatten, sumOf } from './lowerings/structure.ts';
import { alignment } from './memory-planner.ts';
import { allocateAligned } from './native.ts';
import { asFloat32, ProgramBuilder, type Operation, type Value } from './program.ts';

const lowerings: { readonly [K in LayerKind]: Lowering<K> } = {
  conv: lowerConv,
  dense: lowerDense,
  maxPool: lowerMaxPool,
  avgPool: lowerAvgPool,
  globalAvgPool: lowerGlobalAvgPool,
  lrn: lowerLrn,
  batchNorm: lowerBatchNorm,
  relu: lowerRelu,
  gelu: lowerGelu,
  dropout: lowerDropout,
  concat: lowerConcat,
  add: lowerAdd,
  scale: lowerScale,
  flatten: lowerFlatten,
};

export interface CompiledNetwork {
  readonly forward: readonly Operation[];
  readonly backward: readonly Operation[];
  /** For each backward operation: the element from which on all gradients are final once it has run. */
  readonly finalFrom: readonly number[];
  readonly parameters: ParameterArena;
  readonly input: Float32Array;
  readonly output: Float32Array;
  readonly outputGradient: Float32Array;
  readonly bindInput: (bytes: Uint8Array) => void;
  readonly memoryBytes: number;
}

export function compileNetwork(dnnl: Dnnl, network: Network, settings: CompileSettings): CompiledNetwork {
  const { batchSize, training, precision } = settings;
  const program = new ProgramBuilder(dnnl);
  const analysis = analyse(network);
  const context = new LoweringContext(program, settings, analysis);
  const inputBytes = allocateAligned(4 * batchSize * sizeOf(network.inputShape), alignment);
  const input = program.persistent(dnnl.plain([batchSize, ...network.inputShape], 'f32'), inputBytes);

  const lowered = new Map<string, Lowered>();
  const firstValue = program.inLayout(inputName, input, dnnl.plain(input.descriptor.dims, precision));
  const outputOf = (name: string): Value => (name === inputName ? firstValue : lowered.get(name)!.output);
  for (const layer of network.layers) lowered.set(layer.name, lower(context, layer, layer.inputs.map(outputOf)));

  const result = outputOf(network.output);
  // The output's dimensions may be [N, C, 1, 1]; in plain layout that is the same as [N, C].
  const outputDescriptor = dnnl.plain(result.descriptor.dims, 'f32');
  const outputBytes = allocateAligned(outputDescriptor.sizeBytes, alignment);
  program.inLayout(network.output, result, outputDescriptor, program.persistent(outputDescriptor, outputBytes));
  const forwardLength = program.position;

  const outputGradientBytes = allocateAligned(training ? outputDescriptor.sizeBytes : 0, alignment);
  if (training) lowerBackward(program, network, analysis, lowered, program.persistent(outputDescriptor, outputGradientBytes));

  const parameters = createArena(dnnl, inNetworkOrder(network, context), training);
  const { operations, memoryBytes } = program.finish();
  const persistentBytes = [inputBytes, outputBytes, outputGradientBytes].reduce((sum, bytes) => sum + bytes.byteLength, 0);
  return {
    forward: operations.slice(0, forwardLength),
    backward: operations.slice(forwardLength),
    finalFrom: finalFrom(program, context, parameters, forwardLength),
    parameters,
    input: asFloat32(inputBytes),
    output: asFloat32(outputBytes),
    outputGradient: asFloat32(outputGradientBytes),
    bindInput: (bytes) => {
      program.bind(input, bytes);
    },
    memoryBytes: memoryBytes + persistentBytes + parameters.values.byteLength + parameters.gradients.byteLength,
  };
}

function lower<K extends LayerKind>(context: LoweringContext, layer: Layer & LayerOf<K>, inputs: readonly Value[]): Lowered {
  // The table's entry belongs to the layer's kind, which the compiler cannot see through the union.
  return (lowerings[layer.kind] as unknown as Lowering<K>)(context, layer, inputs);
}

/** Walks the layers backwards; a tensor with several consumers gets the sum of their gradients. */
function lowerBackward(
  program: ProgramBuilder,
  network: Network,
  { differentiated }: NetworkAnalysis,
  lowered: ReadonlyMap<string, Lowered>,
  outputGradient: Value,
): void {
  const gradients = new Map<string, Value[]>([[network.output, [outputGradient]]]);
  for (const layer of network.layers.toReversed()) {
    const contributions = gradients.get(layer.name);
    if (contributions === undefined || !differentiated.has(layer.name)) continue;
    const gradient = contributions.length === 1 ? contributions[0]! : sumOf(program, layer.name, contributions);
    const needs = layer.inputs.map((name) => differentiated.has(name));
    const inputGradients = lowered.get(layer.name)!.backward!(gradient, needs);
    layer.inputs.forEach((name, i) => {
      const contribution = inputGradients[i];
      if (needs[i] !== true || contribution === undefined) return;
      gradients.set(name, [...(gradients.get(name) ?? []), contribution]);
    });
  }
}

/** See `CompiledNetwork.finalFrom`. Frozen parameters have no gradient to wait for. */
function finalFrom(program: ProgramBuilder, context: LoweringContext, arena: ParameterArena, firstBackward: number): number[] {
  const gradients = new Map(context.parameters.map(({ spec, gradients: value }) => [spec.name, value]));
  const trainable = arena.entries.filter(({ spec }) => spec.kind === 'trainable');
  const pending = trainable.map(({ spec, offset, length }) => ({
    end: offset + length,
    writtenAt: program.lastUseOf(gradients.get(spec.name)),
  }));
  return Array.from({ length: program.position - firstBackward }, (_, i) => {
    while (pending.length > 0 && pending.at(-1)!.writtenAt <= firstBackward + i) pending.pop();
    return pending.at(-1)?.end ?? 0;
  });
}

/** Parameters in the order in which the network lists them. */
function inNetworkOrder(network: Network, context: LoweringContext) {
  const byName = new Map(context.parameters.map((parameter) => [parameter.spec.name, parameter]));
  return network.parameters.map((spec) => byName.get(spec.name)!);
}
