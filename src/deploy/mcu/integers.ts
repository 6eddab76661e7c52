/** From a graph and the scales of its tensors to the integers of a plan. */
import { DataError } from '../../util/errors.ts';
import { leastScaleFor, quantizeBias, quantizeWeights } from '../integers/weights.ts';
import { curveTable } from './curve-table.ts';
import { fixedPointOf, nearestEven, type FixedPoint } from './fixed-point.ts';
import { elementsOf, extentOf, pixelsOf, type AddNode, type Clamp, type ConvNode, type Graph, type GraphNode } from './graph.ts';
import type { IntegerScale } from './input.ts';
import { addBits, averageWeight, type AddStep, type ConvStep, type Plan, type PlanTensor, type Step } from './plan.ts';

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
      return { ...base, kind: node.kind, factor: averageFactor(name, inputs[0]!, output) };
    case 'add':
      return addStep(node, inputs as readonly [PlanTensor, PlanTensor], output);
    case 'multiply': {
      const [a, b] = inputs as readonly [PlanTensor, PlanTensor];
      return { ...base, kind: node.kind, factor: quotientOf(a.scale, b.scale, output.scale) };
    }
    case 'concat':
      return { ...base, kind: node.kind };
    case 'curve':
      return { ...base, kind: node.kind, activation: node.activation, table: curveTable(node.activation, inputs[0]!, output) };
    default:
      return node satisfies never;
  }
}

/** The product of two scales over that of the output, rounded to float32 where XNNPACK rounds it. */
function quotientOf(a: number, b: number, output: number): FixedPoint {
  return fixedPointOf(Math.fround(Math.fround(a * b) / output));
}

/** Of a convolution with weights of one, as which averages are written. @throws DataError where sums would be rounded */
function averageFactor(name: string, { scale, extent }: PlanTensor, output: IntegerScale): FixedPoint {
  if (255 * pixelsOf(extent) < largestFloatSum) return quotientOf(scale, averageWeight(extent), output.scale);
  throw new DataError(`layer "${name}" averages ${pixelsOf(extent)} pixels, of which float32 cannot hold every sum`, {
    fix: 'pool the image first',
  });
}

function convStep(node: ConvNode, input: IntegerScale, output: IntegerScale): ConvStep {
  const { name, inputs, window, groups, clamp } = node;
  const filters = node.output.channels;
  const bias = Float32Array.from(node.bias);
  // Of a filter of zeros only the bias counts: 1/4096 of an activation is fine enough.
  const usual = output.scale / input.scale / 4096;
  // A sum that float32 would round makes more than the largest activation then.
  const least = (1.0001 * 2 ** 8 * output.scale) / input.scale / largestFloatSum;
  const { values: weights, scales: weightScales } = quantizeWeights(Float32Array.from(node.weights), filters, 8, (filter) => {
    const length = node.weights.length / filters;
    const isZero = node.weights.subarray(filter * length, (filter + 1) * length).every((weight) => weight === 0);
    // A bias takes at most a quarter of what sums have.
    return Math.max(4 * leastScaleFor(bias[filter]!, input.scale), isZero ? usual : least);
  });
  const biases = quantizeBias(bias, input.scale, weightScales).values;
  const step: ConvStep = {
    ...{ kind: 'conv', name, inputs, window, groups, weights, weightScales, bias: biases },
    factors: Array.from(weightScales, (scale) => quotientOf(input.scale, scale, output.scale)),
    ...limitsOf(clamp, output),
  };
  requireSums(step, input);
  return step;
}

/** Two bits less than 32, which leaves room for rounding. */
const largestSum = 2 ** 30 - 1;
/** Float32 holds every integer up to it. */
const largestFloatSum = 2 ** 24;

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

function limitsOf<C extends Clamp>(clamp: C | null, { scale, zeroPoint }: IntegerScale) {
  return {
    clamp,
    low: clamp === null ? -128 : zeroPoint,
    high: clamp === 'relu6' ? Math.min(zeroPoint + Math.round(6 / scale), 127) : 127,
  };
}

function multiplyAddsOf(node: GraphNode): number {
  if (node.kind !== 'conv') return 0;
  return (elementsOf(node.output) * node.weights.length) / node.output.channels;
}
