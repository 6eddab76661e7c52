/** The C code of a plan: one block for each layer, tensors in one block of memory, no heap, no library but string.h, no floating point. */
import { formatCount } from '../../../util/format.ts';
import type { FixedPoint } from '../fixed-point.ts';
import { elementsOf, isDense, isDepthwise, pixelsOf, type Extent } from '../graph.ts';
import { isWrittenInPlace, type Memory } from '../memory.ts';
import { filtersLast, type AddStep, type ConvStep, type Plan, type PlanTensor, type PoolStep, type Step } from '../plan.ts';
import { kernelText, type KernelName } from './kernels.ts';
import { identifiersOf } from './names.ts';

export interface CodeOptions {
  /** With which everything that others see begins: an identifier. */
  readonly name: string;
  readonly plan: Plan;
  readonly memory: Memory;
  /** Names of the classes, in the order of the logits. */
  readonly classes: readonly string[];
  /** In a line each, for the head of every file: what it was made of. */
  readonly origin: readonly string[];
}

/** The functions that the code calls. */
export function kernelsOf(options: CodeOptions): ReadonlySet<KernelName> {
  const kernels = new Set(blocksOf(options).flatMap(({ kernels: needed }) => needed));
  return options.memory.copiesImage ? new Set([...kernels, 'copyImage']) : kernels;
}

function blocksOf(options: CodeOptions): readonly StepCode[] {
  const { steps } = options.plan;
  const identifiers = identifiersOf(steps.map((step) => step.name));
  return steps.map((step) => writeStep(step, identifiers.get(step.name)!, options));
}

/** `<name>.c` */
export function sourceFile(options: CodeOptions): string {
  const { name, plan, memory, classes, origin } = options;
  const blocks = blocksOf(options);
  const copy = memory.copiesImage
    ? `    /* The image as integers. */\n    copy_image(image, ${elementsOf(plan.input.extent)}, ${place(plan.input.name, options)});\n\n`
    : '';
  const calls = blocks.map(({ comment, call }) => `    /* ${comment} */\n${call === '' ? '' : `    ${call}\n`}`).join('\n');
  return `${head(origin)}
#include "${name}.h"

#include <string.h>

/* Shifts of negative numbers must keep the sign, as all compilers have them. */
typedef char ${name}_shifts_keep_signs[(-1 >> 1) == -1 ? 1 : -1];

${kernelText(kernelsOf(options))}

${blocks
  .map(({ constants }) => constants)
  .filter((text) => text !== '')
  .join('\n\n')}

const char *const ${name}_classes[${macro(name)}_CLASSES] = {
${classes.map((label) => `    ${quoted(label)},`).join('\n')}
};

int ${name}_classify_in(${name}_memory *memory, const uint8_t *image, int8_t *logits)
{
${usesBlock(options) ? '    int8_t *const block = memory->tensors;\n' : ''}${memory.windowBytes > 0 ? '    int32_t *const windows = memory->windows;\n' : ''}    int best = 0, i;

${copy}${calls}
    for (i = 1; i < ${macro(name)}_CLASSES; i++) {
        if (logits[i] > logits[best]) best = i;
    }
    return best;
}

#ifndef ${macro(name)}_NO_STATIC_MEMORY
int ${name}_classify(const uint8_t *image, int8_t *logits)
{
    static ${name}_memory memory;
    return ${name}_classify_in(&memory, image, logits);
}
#endif
`;
}

/** `<name>.h` */
export function headerFile({ name, plan, memory, classes, origin }: CodeOptions): string {
  const prefix = macro(name);
  const { height, width, channels } = plan.input.extent;
  const { scale, zeroPoint } = plan.output;
  return `${head(origin)}
#ifndef ${prefix}_H
#define ${prefix}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The image: ${height} rows of ${width} pixels of ${channels === 1 ? '1 byte, grey' : '3 bytes, red, green and blue'}.
 * For a network that learnt from crops: the centre of a picture of the training images' size.
 */
#define ${prefix}_HEIGHT ${height}
#define ${prefix}_WIDTH ${width}
#define ${prefix}_CHANNELS ${channels}
#define ${prefix}_CLASSES ${classes.length}

/* A logit q stands for (q - ${prefix}_LOGIT_ZERO) * ${prefix}_LOGIT_SCALE. The code does without: the largest wins. */
#define ${prefix}_LOGIT_ZERO (${zeroPoint})
#define ${prefix}_LOGIT_SCALE ${floatText(scale)}

/* What a call needs beside its stack; nothing in it outlives the call. */
typedef struct {
    int32_t windows[${Math.max(memory.windowBytes / 4, 1)}];
    int8_t tensors[${Math.max(memory.tensorBytes, 1)}];
} ${name}_memory;

extern const char *const ${name}_classes[${prefix}_CLASSES];

/*
 * Classifies an image: returns the class, an index into ${name}_classes, and fills the logits, ${prefix}_CLASSES of them. It has a static
 * ${name}_memory of its own: calls must not run at the same time. Compile with -D${prefix}_NO_STATIC_MEMORY to leave both out.
 */
#ifndef ${prefix}_NO_STATIC_MEMORY
int ${name}_classify(const uint8_t *image, int8_t *logits);
#endif

/* The same in memory of the caller's. */
int ${name}_classify_in(${name}_memory *memory, const uint8_t *image, int8_t *logits);

#ifdef __cplusplus
}
#endif

#endif
`;
}

export function head(origin: readonly string[]): string {
  return `/*\n${origin.map((line) => ` * ${line.replaceAll('*/', '* /').replaceAll('/*', '/ *')}`).join('\n')}\n */`;
}

export function macro(name: string): string {
  return name.toUpperCase();
}

interface StepCode {
  readonly comment: string;
  readonly constants: string;
  /** A statement; empty where there is nothing to do. */
  readonly call: string;
  readonly kernels: readonly KernelName[];
}

function usesBlock({ memory }: CodeOptions): boolean {
  return [...memory.storages.values()].some(({ where }) => where === 'block');
}

/** The address of a tensor's first byte. */
function place(tensor: string, { memory }: CodeOptions): string {
  const { where, address, offset } = memory.storages.get(tensor)!;
  if (where === 'image') return '(const int8_t *)image';
  const start = where === 'logits' ? 'logits' : 'block';
  // The caller's logits have the address 0.
  const bytes = address + offset;
  return bytes === 0 ? start : `${start} + ${bytes}`;
}

function writeStep(step: Step, id: string, options: CodeOptions): StepCode {
  const { plan } = options;
  const inputs = step.inputs.map((name) => plan.tensors.get(name)!);
  const output = plan.tensors.get(step.name)!;
  const [input] = inputs as [PlanTensor];
  const from = step.inputs.map((name) => place(name, options));
  const to = place(step.name, options);
  const sizes = `${sizesOf(inputs)} to ${size(output.extent)}`;
  switch (step.kind) {
    case 'conv':
      return writeConv(step, id, options);
    case 'maxPool':
    case 'avgPool': {
      const [what, kernel] = step.kind === 'maxPool' ? (['max', 'maxPool'] as const) : (['average', 'averagePool'] as const);
      return {
        comment: `${step.name}: ${what} pool of ${step.window.kernel.join('x')} pixels, ${sizes}`,
        constants: `static const pool ${id}_layer = {${poolNumbers(step, output.extent.channels).join(', ')}};`,
        call: `${what}_pool(&${id}_layer, ${from[0]}, ${to});`,
        kernels: [kernel],
      };
    }
    case 'globalAverage': {
      const { factor } = step;
      const numbers = [
        pixelsOf(input.extent),
        input.extent.channels,
        input.zeroPoint,
        factor.multiplier,
        factor.shift,
        output.zeroPoint,
      ];
      return {
        constants: '',
        comment: `${step.name}: average over all pixels, ${sizes}`,
        call: `global_average(${from[0]}, ${numbers.join(', ')}, ${to});`,
        kernels: ['globalAverage'],
      };
    }
    case 'add': {
      const [a, b] = inputs as [PlanTensor, PlanTensor];
      const { low, high } = step;
      const pair = (values: readonly number[]) => `{${values.join(', ')}}`;
      const zeros = pair([a.zeroPoint, b.zeroPoint]);
      const multipliers = pair(step.multipliers);
      const rest = [step.shift, output.zeroPoint, low, high];
      return {
        comment: `${step.name}: sum, ${sizes}${clampText(step)}`,
        constants: `static const addition ${id}_layer = {${zeros}, ${multipliers}, ${rest.join(', ')}};`,
        call: `add(&${id}_layer, ${from[0]}, ${from[1]}, ${elementsOf(output.extent)}, ${to});`,
        kernels: ['add'],
      };
    }
    case 'multiply': {
      const [a, b] = inputs as [PlanTensor, PlanTensor];
      const { channels } = a.extent;
      const stride = pixelsOf(b.extent) === 1 ? 0 : channels;
      const numbers = [step.factor.multiplier, step.factor.shift, output.zeroPoint];
      return {
        comment: `${step.name}: product, ${sizes}`,
        constants: `static const product ${id}_layer = {{${a.zeroPoint}, ${b.zeroPoint}}, ${numbers.join(', ')}};`,
        call: `multiply(&${id}_layer, ${from[0]}, ${from[1]}, ${pixelsOf(a.extent)}, ${channels}, ${stride}, ${to});`,
        kernels: ['multiply'],
      };
    }
    case 'concat': {
      const copies = copiesOf(step, options);
      return {
        constants: '',
        comment: `${step.name}: joined channels, ${sizes}${copies.length === 0 ? '; they lie where they belong already' : ''}`,
        call: copies.join('\n    '),
        kernels: copies.length === 0 ? [] : ['copyChannels'],
      };
    }
    case 'curve':
      return {
        comment: `${step.name}: ${step.activation.type}, ${size(output.extent)}`,
        constants: array('int8_t', `${id}_table`, step.table),
        call: `look_up(${id}_table, ${from[0]}, ${elementsOf(output.extent)}, ${to});`,
        kernels: ['lookUp'],
      };
    default:
      return step satisfies never;
  }
}

function writeConv(step: ConvStep, id: string, options: CodeOptions): StepCode {
  const { plan, memory } = options;
  const [input, output] = [plan.tensors.get(step.inputs[0]!)!, plan.tensors.get(step.name)!];
  const { kernel, stride, padding } = step.window;
  const filters = step.bias.length;
  const products = step.weights.length / filters;
  const fromImage = memory.storages.get(step.inputs[0]!)!.where === 'image';
  const depthwise = isDepthwise(step);
  const numbers = [
    [input.extent.height, input.extent.width, input.extent.channels],
    [output.extent.height, output.extent.width, filters],
    [...kernel, ...stride, padding[0], padding[1]],
    [step.groups, memory.storages.get(step.name)!.stride],
    [fromImage ? -128 : 0, fromImage ? ((input.zeroPoint + 256) % 256) ^ 128 : input.zeroPoint],
    [output.zeroPoint, step.low, step.high],
  ];
  const constants = [
    array('int8_t', `${id}_weights`, depthwise ? filtersLast(step) : readableWeights(step)),
    array('int32_t', `${id}_bias`, withoutZeroPoint(step, input.zeroPoint)),
    array(
      'int32_t',
      `${id}_multipliers`,
      step.factors.map(({ multiplier }: FixedPoint) => multiplier),
    ),
    array(
      'uint8_t',
      `${id}_shifts`,
      step.factors.map(({ shift }) => shift),
    ),
    `static const convolution ${id}_layer = {
${numbers.map((group) => `    ${group.join(', ')},`).join('\n')}
    ${id}_weights, ${id}_bias, ${id}_multipliers, ${id}_shifts
};`,
  ].join('\n');
  const [from, to] = [place(step.inputs[0]!, options), place(step.name, options)];
  const multiplyAdds = formatCount(elementsOf(output.extent) * products);
  const shape = `${size(input.extent)} to ${size(output.extent)}${clampText(step)}; ${multiplyAdds} multiply-adds`;
  if (isDense(step)) {
    return {
      comment: `${step.name}: dense layer, ${shape}`,
      constants,
      call: `dense(&${id}_layer, ${from}, ${to});`,
      kernels: ['dense'],
    };
  }
  const [what, call, kernelName] = depthwise
    ? (['depthwise convolution', 'convolve_depthwise', 'convolveDepthwise'] as const)
    : step.groups > 1
      ? ([`convolution in ${step.groups} groups`, 'convolve_groups', 'convolveGroups'] as const)
      : (['convolution', 'convolve', 'convolve'] as const);
  const strides = stride[0] * stride[1] === 1 ? '' : `, stride ${[...new Set(stride)].join('x')}`;
  return {
    comment: `${step.name}: ${kernel.join('x')} ${what}${strides}, ${shape}`,
    constants,
    call: `${call}(&${id}_layer, ${from}, ${to}, windows);`,
    kernels: [kernelName],
  };
}

/** Biases to which products with the integers themselves are added, not with what they are above the zero point. */
export function withoutZeroPoint({ weights, bias }: ConvStep, zeroPoint: number): Int32Array {
  const length = weights.length / bias.length;
  return bias.map((value, filter) => {
    const sum = weights.subarray(filter * length, (filter + 1) * length).reduce((total, weight) => total + weight, 0);
    return value - zeroPoint * sum;
  });
}

/** With three bytes more, where the last filter would be read beyond its end. */
function readableWeights(step: ConvStep): Int8Array {
  const { weights, bias, groups } = step;
  if (groups > 1 || isDense(step) || (weights.length / bias.length) % 4 === 0) return weights;
  const padded = new Int8Array(weights.length + 3);
  padded.set(weights);
  return padded;
}

function poolNumbers({ window: { kernel, stride, padding, input, output } }: PoolStep, channels: number): readonly number[] {
  return [...input, channels, ...output, ...kernel, ...stride, padding[0], padding[1]];
}

function copiesOf(step: Extract<Step, { kind: 'concat' }>, options: CodeOptions): readonly string[] {
  const { plan, memory } = options;
  const { extent } = plan.tensors.get(step.name)!;
  const to = memory.storages.get(step.name)!;
  let first = to.offset;
  return step.inputs.flatMap((name) => {
    const { channels } = plan.tensors.get(name)!.extent;
    const start = place(step.name, { ...options, memory: withOffset(memory, step.name, first) });
    first += channels;
    if (isWrittenInPlace(memory, step.name, name)) return [];
    return [`copy_channels(${place(name, options)}, ${pixelsOf(extent)}, ${channels}, ${start}, ${to.stride});`];
  });
}

function withOffset(memory: Memory, tensor: string, offset: number): Memory {
  return { ...memory, storages: new Map([...memory.storages, [tensor, { ...memory.storages.get(tensor)!, offset }]]) };
}

function clampText({ clamp }: ConvStep | AddStep): string {
  return clamp === null ? '' : `, ${{ relu: 'ReLU', relu6: 'ReLU6', unit: 'hard sigmoid' }[clamp]}`;
}

/** `32x32x3`: height, width and channels; a vector has its length alone. */
function size(extent: Extent): string {
  const { height, width, channels } = extent;
  return pixelsOf(extent) === 1 ? String(channels) : `${height}x${width}x${channels}`;
}

/** Of inputs that are alike, how many there are. */
function sizesOf(inputs: readonly PlanTensor[]): string {
  const different = [...new Set(inputs.map(({ extent }) => size(extent)))];
  return inputs.length > 1 && different.length === 1 ? `${inputs.length} of ${different[0]!}` : different.join(' and ');
}

/** A constant of C, where the suffix wants a point or an exponent before it. */
function floatText(value: number): string {
  const text = String(value);
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}

/** Numbers in lines of at most this many characters. */
const widestLine = 120;

function array(type: string, name: string, values: ArrayLike<number>): string {
  return `static const ${type} ${name}[${values.length}] = {\n${numberLines(values)}\n};`;
}

export function numberLines(values: ArrayLike<number>, indent = '    '): string {
  const lines: string[] = [];
  let line = indent;
  for (let i = 0; i < values.length; i++) {
    const text = `${values[i]!},`;
    if (line.length + text.length > widestLine) {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += `${text} `;
  }
  return [...lines, line.trimEnd()].join('\n');
}

/** A string constant; what is not plain ASCII is written as bytes of UTF-8. */
function quoted(text: string): string {
  const characters = [...new TextEncoder().encode(text)].map((byte) => {
    const character = String.fromCharCode(byte);
    if (['"', '\\', '?'].includes(character)) return `\\${character}`;
    // Always three octal digits, so that what follows is not taken for a fourth.
    return byte >= 32 && byte < 127 ? character : `\\${byte.toString(8).padStart(3, '0')}`;
  });
  return `"${characters.join('')}"`;
}
