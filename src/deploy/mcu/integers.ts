/** From a graph and the scales of its tensors to the integers of a plan. */
import { activate } from '../../engine/reference/activation.ts';
import type { Activation } from '../../nn/activation.ts';
import { DataError } from '../../util/errors.ts';
import { leastScaleFor, quantizeBias, quantizeWeights } from '../integers/weights.ts';
import { fixedPointOf } from './fixed-point.ts';
import { elementsOf, extentOf, pixelsOf, type AddNode, type Clamp, type ConvNode, type Graph, type GraphNode } from './graph.ts';
import type { IntegerScale } from './input.ts';
import { addBits, type AddStep, type ConvStep, type Plan, type PlanTensor, type Step } from './plan.ts';

/**
 * @param scales of the input and of every node
 * @throws DataError for a layer whose sums do not fit into 32 bits
 */
export function integerPlan(graph: Graph, scales: ReadonlyMap<string, IntegerScale>): Plan {
  const names = [graph.input.name, ...graph.nodes.map(({ name }) => name)];
  const tensors = new Map(
    names.map((name): [string, PlanTensor] => {
      const { scale, zeroPoint } = scales.get(name)!;
      return [name, { name, scale, zeroPoint, extent: extentOf(graph, name) }];
    }),
  );
  return {
    input: tensors.get(graph.input.name)!,
    output: tensors.get(graph.output)!,
    tensors,
    steps: graph.nodes.map((node) =>
      stepOf(
        node,
        node.inputs.map((name) => tensors.get(name)!),
        tensors.get(node.name)!,
      ),
    ),
    multiplyAdds: graph.nodes.reduce((sum, node) => sum + multiplyAddsOf(node), 0),
  };
}

function stepOf(node: GraphNode, inputs: readonly PlanTensor[], output: PlanTensor): Step {
  const { name } = node;
  const base = { name, inputs: node.inputs };
  switch (node.kind) {
    case 'conv':
      return convStep(node, inputs[0]!, output);
    case 'maxPool':
    case 'avgPool':
      return { ...base, kind: node.kind, window: node.window };
    case 'globalAverage':
      return { ...base, kind: node.kind, factor: fixedPointOf(inputs[0]!.scale / output.scale / pixelsOf(inputs[0]!.extent)) };
    case 'add':
      return addStep(node, inputs as readonly [PlanTensor, PlanTensor], output);
    case 'multiply': {
      const [a, b] = inputs as readonly [PlanTensor, PlanTensor];
      return { ...base, kind: node.kind, factor: fixedPointOf((a.scale * b.scale) / output.scale) };
    }
    case 'concat':
      return { ...base, kind: node.kind };
    case 'curve':
      return { ...base, kind: node.kind, activation: node.activation, table: tableOf(node.activation, inputs[0]!, output) };
    default:
      return node satisfies never;
  }
}

function convStep(node: ConvNode, input: IntegerScale, output: IntegerScale): ConvStep {
  const { name, inputs, window, groups, clamp } = node;
  const filters = node.output.channels;
  const bias = Float32Array.from(node.bias);
  // Of a filter of zeros only the bias counts: 1/4096 of an activation is fine enough.
  const usual = output.scale / input.scale / 4096;
  const { values: weights, scales: weightScales } = quantizeWeights(Float32Array.from(node.weights), filters, 8, (filter) => {
    const length = node.weights.length / filters;
    const isZero = node.weights.subarray(filter * length, (filter + 1) * length).every((weight) => weight === 0);
    // A bias takes at most a quarter of what sums have.
    return Math.max(4 * leastScaleFor(bias[filter]!, input.scale), isZero ? usual : 0);
  });
  const biases = quantizeBias(bias, input.scale, weightScales).values;
  const step: ConvStep = {
    ...{ kind: 'conv', name, inputs, window, groups, weights, weightScales, bias: biases },
    factors: Array.from(weightScales, (scale) => fixedPointOf((input.scale * scale) / output.scale)),
    ...limitsOf(clamp, output),
  };
  requireSums(step, input);
  return step;
}

/** Two bits less than 32, which leaves room for rounding. */
const largestSum = 2 ** 30 - 1;

/** Of every filter, whatever the image: with and without the zero point taken out of the activations. */
function requireSums({ name, weights, bias, window: { kernel } }: ConvStep, { zeroPoint }: IntegerScale): void {
  const length = weights.length / bias.length;
  for (const [filter, start] of bias.entries()) {
    let ofBytes = 0;
    let ofZeroPoint = 0;
    for (let i = filter * length; i < (filter + 1) * length; i++) {
      ofBytes += 128 * Math.abs(weights[i]!);
      ofZeroPoint += weights[i]! * zeroPoint;
    }
    const largest = Math.max(Math.abs(start), Math.abs(start - ofZeroPoint)) + ofBytes + Math.abs(ofZeroPoint);
    if (largest <= largestSum) continue;
    throw new DataError(
      `the sums of layer "${name}" over ${length} inputs (${kernel.join('x')} pixels) do not fit into integers of 32 bits`,
      { fix: 'give it fewer inputs: pool the image first' },
    );
  }
}

/** As XNNPACK makes them, in its precision: of the larger factor `addBits` bits, of the other as many as are left. */
function addStep(node: AddNode, [a, b]: readonly [PlanTensor, PlanTensor], output: PlanTensor): AddStep {
  const factors = [Math.fround(a.scale / output.scale), Math.fround(b.scale / output.scale)] as const;
  const exponent = Math.floor(Math.log2(Math.max(...factors)));
  // Sums must fit into 32 bits with half of 2^shift.
  const shift = Math.min(addBits - 1 - exponent, 30);
  return {
    ...{ kind: 'add', name: node.name, inputs: node.inputs },
    multipliers: [nearestEven(factors[0] * 2 ** shift), nearestEven(factors[1] * 2 ** shift)],
    shift,
    ...limitsOf(node.clamp, output),
  };
}

/** The nearest integer; of two the even one. */
function nearestEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function limitsOf(clamp: Clamp | null, { scale, zeroPoint }: IntegerScale): Pick<ConvStep, 'clamp' | 'low' | 'high'> {
  return {
    clamp,
    low: clamp === null ? -128 : zeroPoint,
    high: clamp === 'relu6' ? Math.min(zeroPoint + Math.round(6 / scale), 127) : 127,
  };
}

/** What each of -128 to 127 becomes: the activation of what it stands for, rounded to the nearest. */
function tableOf(activation: Activation, input: IntegerScale, output: IntegerScale): Int8Array {
  const values = Float64Array.from({ length: 256 }, (_, i) => (i - 128 - input.zeroPoint) * input.scale);
  activate(values, values, activation);
  return Int8Array.from(values, (value) => Math.min(Math.max(Math.round(value / output.scale) + output.zeroPoint, -128), 127));
}

function multiplyAddsOf(node: GraphNode): number {
  if (node.kind !== 'conv') return 0;
  return (elementsOf(node.output) * node.weights.length) / node.output.channels;
}
