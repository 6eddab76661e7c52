/** Compiles a network for a batch size into a program: forward, and for training the backward pass behind it. */
import type { Layer, LayerKind, LayerOf } from '../../nn/layer.ts';
import { inputName, type Network } from '../../nn/network.ts';
import { sizeOf } from '../../nn/shape.ts';
import type { DeviceArray, ParameterArena } from '../engine.ts';
import { analyse, type NetworkAnalysis } from './analysis.ts';
import { createArena } from './arena.ts';
import { arrayOf } from './array.ts';
import { LoweringContext, type CompileSettings, type Lowered, type Lowering } from './context.ts';
import type { Dnnl } from './dnnl.ts';
import { lowerActivation, lowerDropout, lowerScale } from './lowerings/activation.ts';
import { lowerBatchNorm } from './lowerings/batch-norm.ts';
import { lowerConv } from './lowerings/conv.ts';
import { lowerCustom } from './lowerings/custom.ts';
import { lowerDense } from './lowerings/dense.ts';
import { lowerConcatConv } from './lowerings/concat-conv.ts';
import { lowerLrn } from './lowerings/lrn.ts';
import { lowerAvgPool, lowerGlobalAvgPool, lowerMaxPool } from './lowerings/pool.ts';
import { examplesAtATime, lowerPooledConv } from './lowerings/pooled-conv.ts';
import { lowerMultiply } from './lowerings/multiply.ts';
import { lowerAdd, lowerConcat, lowerFlatten } from './lowerings/structure.ts';
import { alignment } from './memory-planner.ts';
import { allocateAligned } from './native.ts';
import { spreadConcats } from './spread-concats.ts';
import { asFloat32, ProgramBuilder, type Operation, type Value } from './program.ts';

const lowerings: { readonly [K in LayerKind]: Lowering<K> } = {
  conv: (context, layer, inputs) => (inputs.length === 1 ? lowerConv : lowerConcatConv)(context, layer, inputs),
  dense: lowerDense,
  maxPool: lowerMaxPool,
  avgPool: lowerAvgPool,
  globalAvgPool: lowerGlobalAvgPool,
  lrn: lowerLrn,
  batchNorm: lowerBatchNorm,
  activation: lowerActivation,
  dropout: lowerDropout,
  concat: lowerConcat,
  add: lowerAdd,
  multiply: lowerMultiply,
  scale: lowerScale,
  flatten: lowerFlatten,
  custom: lowerCustom,
};

export interface CompiledNetwork {
  readonly forward: readonly Operation[];
  readonly backward: readonly Operation[];
  /** For each backward operation: the element from which on all gradients are final once it has run. */
  readonly finalFrom: readonly number[];
  readonly parameters: ParameterArena;
  readonly input: Float32Array;
  readonly output: DeviceArray;
  readonly outputGradient: DeviceArray;
  readonly bindInput: (bytes: Uint8Array) => void;
  readonly memoryBytes: number;
}

export function compileNetwork(dnnl: Dnnl, described: Network, settings: CompileSettings): CompiledNetwork {
  const { batchSize, training, precision } = settings;
  const program = new ProgramBuilder(dnnl);
  const network = spreadConcats(described);
  const analysis = analyse(network);
  const context = new LoweringContext(program, { ...settings, customLayers: described.customLayers }, analysis);
  const inputBytes = allocateAligned(4 * batchSize * sizeOf(network.inputShape), alignment);
  const input = program.persistent(dnnl.plain([batchSize, ...network.inputShape], 'f32'), inputBytes);

  const lowered = new Map<string, Lowered>();
  const firstValue = program.inLayout(inputName, input, dnnl.plain(input.descriptor.dims, precision));
  const outputOf = (name: string): Value => (name === inputName ? firstValue : lowered.get(name)!.output);
  const units = unitsOf(network, context);
  for (const unit of units) lowered.set(unit.name, unit.lower(unit.inputs.map(outputOf)));

  const result = outputOf(network.output);
  // The output's dimensions may be [N, C, 1, 1]; in plain layout that is the same as [N, C].
  const outputDescriptor = dnnl.plain(result.descriptor.dims, 'f32');
  const outputBytes = allocateAligned(outputDescriptor.sizeBytes, alignment);
  program.inLayout(network.output, result, outputDescriptor, program.persistent(outputDescriptor, outputBytes));
  const forwardLength = program.position;

  const outputGradientBytes = allocateAligned(training ? outputDescriptor.sizeBytes : 0, alignment);
  if (training) {
    const gradient = program.persistent(outputDescriptor, outputGradientBytes);
    lowerBackward(program, units, analysis, lowered, new Map([[network.output, [gradient]]]));
  }

  const parameters = createArena(dnnl, inNetworkOrder(network, context), training);
  const { operations, memoryBytes } = program.finish((bytes) => {
    settings.requireMemory?.(bytes + 4 * parameters.values.length + 4 * parameters.gradients.length + inputBytes.byteLength);
  });
  const persistentBytes = [inputBytes, outputBytes, outputGradientBytes].reduce((sum, bytes) => sum + bytes.byteLength, 0);
  return {
    forward: operations.slice(0, forwardLength),
    backward: operations.slice(forwardLength),
    finalFrom: finalFrom(program, context, parameters, forwardLength),
    parameters,
    input: asFloat32(inputBytes),
    output: arrayOf(outputBytes),
    outputGradient: arrayOf(outputGradientBytes),
    bindInput: (bytes) => {
      program.bind(input, bytes);
    },
    memoryBytes: memoryBytes + persistentBytes + 4 * parameters.values.length + 4 * parameters.gradients.length,
  };
}

function lower<K extends LayerKind>(context: LoweringContext, layer: Layer & LayerOf<K>, inputs: readonly Value[]): Lowered {
  // The table's entry belongs to the layer's kind, which the compiler cannot see through the union.
  return (lowerings[layer.kind] as unknown as Lowering<K>)(context, layer, inputs);
}

/** What is lowered as one: a layer, or a convolution with its pool. Its name is that of the layer whose output it has. */
interface Unit {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly lower: (inputs: readonly Value[]) => Lowered;
}

function unitsOf(network: Network, context: LoweringContext): Unit[] {
  const withPools = new Map<string, Unit>();
  return network.layers.flatMap((layer): Unit[] => {
    const { name, inputs } = layer;
    const withConv = withPools.get(name);
    if (withConv !== undefined) return [withConv];
    const pool = context.analysis.pools.get(name);
    const examples = layer.kind === 'conv' && pool !== undefined ? examplesAtATime(context, layer) : context.batchSize;
    if (layer.kind !== 'conv' || pool === undefined || examples === context.batchSize) {
      return [{ name, inputs, lower: (values) => lower(context, layer, values) }];
    }
    withPools.set(pool.name, { name: pool.name, inputs, lower: ([x]) => lowerPooledConv(context, layer, pool, x!, examples) });
    return [];
  });
}

/** Walks the units backwards; a tensor with several consumers gets the sum of their gradients. */
function lowerBackward(
  program: ProgramBuilder,
  units: readonly Unit[],
  { differentiated }: NetworkAnalysis,
  lowered: ReadonlyMap<string, Lowered>,
  gradients: Map<string, readonly Value[]>,
): void {
  for (const { name, inputs } of units.toReversed()) {
    const contributions = gradients.get(name);
    if (contributions === undefined || !differentiated.has(name)) continue;
    const gradient = contributions.length === 1 ? contributions[0]! : program.sum(name, contributions);
    const needs = inputs.map((input) => differentiated.has(input));
    const inputGradients = lowered.get(name)!.backward!(gradient, needs);
    inputs.forEach((input, i) => {
      const contribution = inputGradients[i];
      if (needs[i] !== true || contribution === undefined) return;
      gradients.set(input, [...(gradients.get(input) ?? []), contribution]);
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
