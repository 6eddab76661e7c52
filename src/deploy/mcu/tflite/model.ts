/** A plan as a TensorFlow Lite model: int8 in and out, the same integers as the C code. */
import { DataError } from '../../../util/errors.ts';
import { resolveWindow, type Window2d } from '../../../nn/shape.ts';
import { isDepthwise, type Extent, type GraphNode } from '../graph.ts';
import {
  averageWeight,
  filtersLast,
  type AddStep,
  type ConvStep,
  type CurveStep,
  type Plan,
  type PlanTensor,
  type PoolStep,
  type Step,
} from '../plan.ts';
import {
  encodeTflite,
  fusedActivations,
  paddings,
  type Field,
  type OperatorData,
  type OperatorName,
  type TensorData,
  type TensorQuantization,
} from './schema.ts';

/**
 * The bytes of a .tflite file. Input: `image`, int8 `[1, H, W, 3]`, bytes less 128. Output: `logits`, int8 `[1, classes]`.
 *
 * @param description in words, for whoever opens it
 * @throws DataError for what TensorFlow Lite has no operator for
 */
export function tfliteFile(plan: Plan, description: string): Uint8Array {
  requireTfliteOperators(plan.steps);
  const writer = new Writer();
  const numbers = new Map([[plan.input.name, writer.activation('image', plan.input)]]);
  for (const step of plan.steps) {
    const inputs = step.inputs.map((name) => ({ number: numbers.get(name)!, tensor: plan.tensors.get(name)! }));
    numbers.set(step.name, writeStep(writer, step, inputs, plan.tensors.get(step.name)!));
  }
  const { extent } = plan.output;
  const logits = writer.tensor({
    name: 'logits',
    shape: [1, extent.channels],
    type: 'int8',
    quantization: quantizationOf(plan.output),
  });
  const shape = writer.ints('logits/shape', [1, extent.channels]);
  writer.operator('RESHAPE', [numbers.get(plan.output.name)!, shape], logits, [[0, 'ints', [1, extent.channels]]]);
  return encodeTflite({
    description,
    tensors: writer.tensors,
    operators: writer.operators,
    inputs: [numbers.get(plan.input.name)!],
    outputs: [logits],
  });
}

/**
 * That a network has no operator that TensorFlow Lite lacks, known before it is calibrated.
 *
 * @throws DataError for an average pool that is padded in another way than `same`
 */
export function requireTfliteOperators(nodes: readonly (GraphNode | Step)[]): void {
  for (const node of nodes) {
    if (node.kind !== 'avgPool' || paddingOf(node.window) !== undefined) continue;
    throw new DataError(`TensorFlow Lite cannot pad the average pool "${node.name}" as the network does`, {
      fix: 'give it the padding same or valid; or export C, which can',
    });
  }
}

/** Tensors and operators in the order in which they are added. */
class Writer {
  readonly tensors: TensorData[] = [];
  readonly operators: OperatorData[] = [];

  /** @returns its number */
  tensor(tensor: TensorData): number {
    return this.tensors.push(tensor) - 1;
  }

  activation(name: string, { extent, scale, zeroPoint }: Pick<PlanTensor, 'extent' | 'scale' | 'zeroPoint'>): number {
    return this.tensor({ name, shape: shapeOf(extent), type: 'int8', quantization: { scales: [scale], zeroPoint } });
  }

  /** A constant list. */
  ints(name: string, values: readonly number[], shape: readonly number[] = [values.length]): number {
    return this.tensor({ name, shape, type: 'int32', data: bytesOf(Int32Array.from(values)) });
  }

  operator(name: OperatorName, inputs: readonly number[], output: number, options: readonly Field[] = []): void {
    this.operators.push({ name, inputs, outputs: [output], options });
  }
}

interface Input {
  readonly number: number;
  readonly tensor: PlanTensor;
}

function writeStep(writer: Writer, step: Step, inputs: readonly Input[], output: PlanTensor): number {
  const [input] = inputs as [Input];
  const numbers = inputs.map(({ number }) => number);
  const made = writer.activation(step.name, output);
  switch (step.kind) {
    case 'conv':
      writeConv(writer, step, input, made);
      break;
    case 'maxPool':
    case 'avgPool':
      writePool(writer, step, input, made);
      break;
    case 'globalAverage':
      writeAverage(writer, step.name, input, made);
      break;
    case 'add':
      writer.operator('ADD', numbers, made, [fused(0, step)]);
      break;
    case 'multiply':
      writer.operator('MUL', numbers, made, [[0, 'byte', fusedActivations.none]]);
      break;
    case 'concat':
      writer.operator('CONCATENATION', numbers, made, [
        [0, 'int', 3],
        [1, 'byte', fusedActivations.none],
      ]);
      break;
    case 'curve':
      writeCurve(writer, step, input, made);
      break;
    default:
      step satisfies never;
  }
  return made;
}

function writeConv(writer: Writer, step: ConvStep, input: Input, made: number): void {
  const { name, window, groups, weights, bias, weightScales } = step;
  const filters = bias.length;
  const [height, width] = window.kernel;
  const depthwise = isDepthwise(step);
  const scales = [...weightScales];
  const weightTensor = writer.tensor({
    name: `${name}/weights`,
    shape: depthwise ? [1, height, width, filters] : [filters, height, width, weights.length / (filters * height * width)],
    type: 'int8',
    data: bytesOf(depthwise ? filtersLast(step) : weights),
    quantization: { scales, zeroPoint: 0, dimension: depthwise ? 3 : 0 },
  });
  const biasTensor = writer.tensor({
    name: `${name}/bias`,
    shape: [filters],
    type: 'int32',
    data: bytesOf(bias),
    quantization: { scales: scales.map((scale) => Math.fround(scale * input.tensor.scale)), zeroPoint: 0 },
  });
  const padded = padInput(writer, name, window, input, input.tensor.zeroPoint);
  const [down, right] = window.stride;
  const strides: readonly Field[] = [
    [0, 'byte', padded.padding],
    [1, 'int', right],
    [2, 'int', down],
  ];
  const inputs = [padded.number, weightTensor, biasTensor];
  if (depthwise) writer.operator('DEPTHWISE_CONV_2D', inputs, made, [...strides, [3, 'int', filters / groups], fused(4, step)]);
  else writer.operator('CONV_2D', inputs, made, [...strides, fused(3, step)]);
}

/**
 * A depthwise convolution over all pixels, each with the weight one: its result is rounded once, and as all convolutions are. LiteRT's MEAN rounds
 * twice, in a way that depends on the processor.
 */
function writeAverage(writer: Writer, name: string, { number, tensor }: Input, made: number): void {
  const { height, width, channels } = tensor.extent;
  const weight = averageWeight(tensor.extent);
  const weights = writer.tensor({
    name: `${name}/weights`,
    shape: [1, height, width, channels],
    type: 'int8',
    data: new Uint8Array(height * width * channels).fill(1),
    quantization: { scales: new Array<number>(channels).fill(weight), zeroPoint: 0, dimension: 3 },
  });
  const bias = writer.tensor({
    name: `${name}/bias`,
    shape: [channels],
    type: 'int32',
    data: new Uint8Array(4 * channels),
    quantization: { scales: new Array<number>(channels).fill(Math.fround(weight * tensor.scale)), zeroPoint: 0 },
  });
  writer.operator('DEPTHWISE_CONV_2D', [number, weights, bias], made, [
    [0, 'byte', paddings.valid],
    [1, 'int', 1],
    [2, 'int', 1],
    [3, 'int', 1],
    [4, 'byte', fusedActivations.none],
  ]);
}

function writePool(writer: Writer, { kind, name, window }: PoolStep, input: Input, made: number): void {
  // Padding never wins.
  const padded = padInput(writer, name, window, input, -128);
  const [[down, right], [height, width]] = [window.stride, window.kernel];
  writer.operator(kind === 'maxPool' ? 'MAX_POOL_2D' : 'AVERAGE_POOL_2D', [padded.number], made, [
    [0, 'byte', padded.padding],
    [1, 'int', right],
    [2, 'int', down],
    [3, 'int', width],
    [4, 'int', height],
    [5, 'byte', fusedActivations.none],
  ]);
}

/** TensorFlow Lite knows two kinds of padding. Any other is an operator of its own, with the integer `value`. */
function padInput(
  writer: Writer,
  name: string,
  window: Window2d,
  { number, tensor }: Input,
  value: number,
): { readonly number: number; readonly padding: number } {
  const known = paddingOf(window);
  if (known !== undefined) return { number, padding: paddings[known] };
  const [top, left] = window.padding;
  // As much as windows see.
  const [bottom, right] = ([0, 1] as const).map((axis) =>
    Math.max(
      (window.output[axis] - 1) * window.stride[axis] + window.kernel[axis] - window.padding[axis] - window.input[axis],
      0,
    ),
  ) as [number, number];
  const extent = { ...tensor.extent, height: top + window.input[0] + bottom, width: left + window.input[1] + right };
  const padded = writer.activation(`${name}/padded`, { ...tensor, extent });
  const amounts = writer.ints(`${name}/padding`, [0, 0, top, bottom, left, right, 0, 0], [4, 2]);
  if (value === tensor.zeroPoint) writer.operator('PAD', [number, amounts], padded);
  else {
    const constant = { name: `${name}/padding_value`, shape: [1], type: 'int8', data: bytesOf(Int8Array.of(value)) } as const;
    writer.operator('PADV2', [number, amounts, writer.tensor({ ...constant, quantization: quantizationOf(tensor) })], padded);
  }
  return { number: padded, padding: paddings.valid };
}

function paddingOf(window: Window2d): 'same' | 'valid' | undefined {
  const { input, kernel, stride, output, padding } = window;
  return (['same', 'valid'] as const).find((kind) => {
    const resolved = resolveWindow(input, kernel, stride, kind);
    return JSON.stringify([resolved?.padding, resolved?.output]) === JSON.stringify([padding, output]);
  });
}

function writeCurve(writer: Writer, { name, activation }: CurveStep, { number, tensor }: Input, made: number): void {
  const unfused: Field = [0, 'byte', fusedActivations.none];
  switch (activation.type) {
    case 'relu':
      writer.operator('RELU', [number], made);
      break;
    case 'relu6':
      writer.operator('RELU6', [number], made);
      break;
    case 'leakyRelu':
      writer.operator('LEAKY_RELU', [number], made, [[0, 'float', activation.slope]]);
      break;
    case 'gelu':
      // Exact, with the error function.
      writer.operator('GELU', [number], made, [[0, 'bool', 0]]);
      break;
    case 'sigmoid':
      writer.operator('LOGISTIC', [number], made);
      break;
    case 'hardSwish':
      writer.operator('HARD_SWISH', [number], made);
      break;
    case 'silu': {
      // There is no such operator: a product.
      const sigmoid = writer.activation(`${name}/sigmoid`, { ...tensor, scale: 1 / 256, zeroPoint: -128 });
      writer.operator('LOGISTIC', [number], sigmoid);
      writer.operator('MUL', [number, sigmoid], made, [unfused]);
      break;
    }
    default:
      activation satisfies never;
  }
}

/** Integers end where a hard sigmoid does. */
function fused(slot: number, { clamp }: ConvStep | AddStep): Field {
  return [slot, 'byte', fusedActivations[clamp === null || clamp === 'unit' ? 'none' : clamp]];
}

function quantizationOf({ scale, zeroPoint }: PlanTensor): TensorQuantization {
  return { scales: [scale], zeroPoint };
}

function shapeOf({ height, width, channels }: Extent): readonly number[] {
  return [1, height, width, channels];
}

function bytesOf(values: Int8Array | Int32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
