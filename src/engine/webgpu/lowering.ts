/** What turning a network's layers into kernels shares: where tensors and their gradients lie, and who adds to which gradient. */
import type { Layer } from '../../nn/layer.ts';
import type { Network } from '../../nn/network.ts';
import type { ParameterRole } from '../../nn/parameter.ts';
import { sizeOf } from '../../nn/shape.ts';
import type { ArenaEntry, ForwardOptions } from '../engine.ts';
import type { Words } from './gpu.ts';
import { threadIndex, workgroupsFor } from './kernels/shader.ts';
import type { Pass, ProgramBuilder, Use } from './program.ts';
import {
  channelsOf,
  indexText,
  isContiguous,
  storedTypeOf,
  typeOf,
  viewOf,
  widthOf,
  type Storage,
  type View,
  type Width,
} from './tensor.ts';
import type { Tuning } from './tuning.ts';

export interface LoweringOptions {
  readonly network: Network;
  readonly batchSize: number;
  readonly training: boolean;
  readonly tuning: Tuning;
  readonly builder: ProgramBuilder;
  readonly entries: readonly ArenaEntry[];
  /** Of the parameters. */
  readonly values: Storage;
  readonly gradients: Storage;
  /** `[N, classes]`, plain. */
  readonly output: Storage;
  readonly outputGradient: Storage;
  /** Of a plan in float16: activations, their gradients and the weights that products read have two bytes. */
  readonly half?: HalfOptions;
}

export interface HalfOptions {
  /** The weights, rounded at the beginning of each forward pass. */
  readonly values: Storage;
  /** The state of the loss scaling (loss-scaling.ts); undefined in inference. */
  readonly scaling: Storage | undefined;
}

/** Writes the kernels of the backward pass of a layer, whose output's gradient is `dy`. */
export type Backward = (dy: View) => void;

/** A tensor that a kernel reads, perhaps at another place than it writes. */
export interface Source {
  readonly view: View;
  /** Texts of where, from `row` and `column`; by default these. */
  readonly row?: string;
  readonly column?: string;
}

export interface ElementwiseOptions {
  readonly layer: string;
  readonly pass: Pass;
  /** By the name that `expression` has for the element. */
  readonly inputs: Readonly<Record<string, View | Source>>;
  readonly output: View;
  /** Whether the result is added to what is there. */
  readonly accumulate?: boolean;
  /** Text of the result; it may also use `row`, and `column`, which counts in steps of the width. */
  readonly expression: string | ((width: Width) => string);
  /** Text of functions. */
  readonly declarations?: (type: 'f32' | 'vec4f') => string;
  /** 1 for what cannot take four channels at once. */
  readonly width?: 1;
  readonly parameters?: Readonly<Record<string, 'f32' | 'u32'>>;
  readonly words?: (draws: ForwardOptions) => Words;
  readonly uses?: (width: Width) => readonly Use[];
}

export class Lowering {
  readonly options: LoweringOptions;
  readonly batchSize: number;
  readonly training: boolean;
  readonly tuning: Tuning;
  readonly builder: ProgramBuilder;
  readonly values: Storage;
  readonly gradients: Storage;
  readonly #views = new Map<string, View>();
  readonly #gradientViews = new Map<string, View>();
  /** How often a tensor is read by layers. */
  readonly #readers = new Map<string, number>();
  readonly #needGradient = new Set<string>();
  readonly #entries: ReadonlyMap<string, ArenaEntry>;

  constructor(options: LoweringOptions) {
    this.options = options;
    const { network, batchSize } = options;
    this.batchSize = batchSize;
    this.training = options.training;
    this.tuning = options.tuning;
    this.builder = options.builder;
    this.values = options.values;
    this.gradients = options.gradients;
    this.#entries = new Map(options.entries.map((entry) => [entry.spec.name, entry]));
    for (const layer of network.layers) {
      for (const name of layer.inputs) this.#readers.set(name, this.readersOf(name) + 1);
      const learns = layer.parameters.some((spec) => spec.kind === 'trainable');
      if (learns || layer.inputs.some((name) => this.#needGradient.has(name))) this.#needGradient.add(layer.name);
    }
    if (isPlain(network)) this.#views.set(network.output, viewOf(options.output, network.outputShape, batchSize));
    this.#placeInConcats();
  }

  get isHalf(): boolean {
    return this.options.half !== undefined;
  }

  readersOf(name: string): number {
    return this.#readers.get(name) ?? 0;
  }

  /**
   * Tensors that a concat joins are made where it wants them, and nothing is copied: those that are joined once, at a place where four channels can be written
   * at once, by a layer that reads nothing of the same memory (a kernel may not both read and write an array).
   */
  #placeInConcats(): void {
    const { network, batchSize } = this.options;
    const byName = new Map(network.layers.map((layer) => [layer.name, layer]));
    for (const layer of network.layers.toReversed()) {
      if (layer.kind !== 'concat' || layer.outputShape[0]! % 4 !== 0) continue;
      const whole = this.#views.get(layer.name) ?? viewOf(this.storage(layer.name, layer), layer.outputShape, batchSize);
      this.#views.set(layer.name, whole);
      let first = 0;
      layer.inputs.forEach((name, i) => {
        const channels = layer.inputShapes[i]![0]!;
        const place = channelsOf(whole, first, channels);
        first += channels;
        const maker = byName.get(name);
        const once = layer.inputs.filter((other) => other === name).length === 1;
        if (maker === undefined || !once || this.#views.has(name) || widthOf(place) === 1) return;
        if (maker.inputs.some((read) => this.#views.get(read)?.storage === whole.storage)) return;
        this.#views.set(name, place);
      });
    }
    // What was placed may be read by a maker that was placed before it.
    for (const layer of network.layers) {
      const own = this.#views.get(layer.name);
      if (own === undefined || layer.kind === 'concat') continue;
      if (layer.inputs.some((name) => this.#views.get(name)?.storage === own.storage)) this.#views.delete(layer.name);
    }
  }

  /** Memory for a tensor of a layer's output's size. */
  storage(label: string, { outputShape }: Pick<Layer, 'outputShape'>): Storage {
    return this.builder.storage(label, this.batchSize * sizeOf(outputShape), this.isHalf);
  }

  setView(name: string, view: View): void {
    this.#views.set(name, view);
  }

  view(name: string): View {
    return this.#views.get(name)!;
  }

  input(layer: Layer, index = 0): View {
    return this.view(layer.inputs[index]!);
  }

  /** Where a layer's output goes. */
  output(layer: Layer): View {
    const known = this.#views.get(layer.name);
    if (known !== undefined) return known;
    const made = viewOf(this.storage(layer.name, layer), layer.outputShape, this.batchSize);
    this.#views.set(layer.name, made);
    return made;
  }

  /** Makes `view` the layer's output without a copy, unless that has its place already. */
  pass(layer: Layer, view: View): void {
    const place = this.#views.get(layer.name);
    if (place === undefined) this.#views.set(layer.name, view);
    else this.copy(layer.name, view, place, false);
  }

  isPlaced(name: string): boolean {
    return this.#views.has(name);
  }

  /** Where a layer's parameter is, or undefined if it has none of this role. */
  parameter(layer: Layer, role: ParameterRole): ArenaEntry | undefined {
    return this.#entries.get(`${layer.name}.${role}`);
  }

  /** The same where its gradient is wanted. */
  trainable(layer: Layer, role: ParameterRole): ArenaEntry | undefined {
    const entry = this.parameter(layer, role);
    return entry?.spec.kind === 'trainable' ? entry : undefined;
  }

  /** A parameter's part of the arena: the same text serves all layers of its shape. */
  parameterUse(name: string, entry: ArenaEntry, width: Width = 1): Use {
    const { offset, length } = entry;
    return { name, type: typeOf(width), storage: this.values, part: { offset, length } };
  }

  /** The same of a weight that a product reads. */
  weightUse(name: string, entry: ArenaEntry, width: Width): Use {
    const { half } = this.options;
    if (half === undefined) return this.parameterUse(name, entry, width);
    return { ...this.parameterUse(name, entry, width), type: storedTypeOf(half.values, width), storage: half.values };
  }

  /** Likewise of its gradient, to be written. */
  gradientUse(name: string, entry: ArenaEntry, width: Width = 1): Use {
    return { ...this.parameterUse(name, entry, width), storage: this.gradients, written: true };
  }

  needsGradient(name: string): boolean {
    return this.#needGradient.has(name);
  }

  /** The gradient of a tensor, once all its readers have added to it; undefined if nobody needs it. */
  gradientOf(name: string): View | undefined {
    return this.#gradientViews.get(name);
  }

  setGradient(name: string, view: View): void {
    this.#gradientViews.set(name, view);
  }

  /** Has `write` make an input's gradient, or add to it what others made; nothing if nobody needs it. */
  contribute(layer: Layer, index: number, write: (dx: View, accumulate: boolean) => void): void {
    const name = layer.inputs[index]!;
    if (!this.needsGradient(name)) return;
    const known = this.#gradientViews.get(name);
    if (known !== undefined) {
      write(known, true);
      return;
    }
    const { rows, channels } = this.view(name);
    const storage = this.builder.storage(`gradient of ${name}`, rows * channels, this.isHalf);
    const made: View = { storage, offset: 0, stride: channels, channels, rows };
    this.#gradientViews.set(name, made);
    write(made, false);
  }

  /** The gradient of an input is `dy`: the same memory, if nobody else adds to it. */
  passBack(layer: Layer, index: number, dy: View): void {
    const name = layer.inputs[index]!;
    if (!this.needsGradient(name)) return;
    if (this.readersOf(name) === 1 && name !== this.options.network.output) this.#gradientViews.set(name, dy);
    else this.contribute(layer, index, (dx, accumulate) => this.copy(layer.name, dy, dx, accumulate, 'backward'));
  }

  copy(layer: string, from: View, to: View, accumulate: boolean, pass: Pass = 'copy'): void {
    this.elementwise({ layer, pass, inputs: { x: from }, output: to, accumulate, expression: 'x' });
  }

  /** A kernel with a thread for each element of `output`, or for four. */
  elementwise(options: ElementwiseOptions): void {
    const { layer, pass, output, accumulate = false, declarations, parameters, words } = options;
    const sources = Object.entries(options.inputs).map(([name, input]) => ({
      name,
      ...('view' in input ? input : { view: input }),
    }));
    const width = options.width ?? widthOf(output, ...sources.map(({ view }) => view));
    const across = output.channels / width;
    const count = output.rows * across;
    const { workgroupSize } = this.tuning;
    const isSimple =
      isContiguous(output) &&
      output.offset === 0 &&
      sources.every(
        ({ view, row, column }) => isContiguous(view) && view.offset === 0 && row === undefined && column === undefined,
      );
    const expression = typeof options.expression === 'string' ? options.expression : options.expression(width);
    const index = (view: View, row = 'row', column = 'column') =>
      isSimple ? 'i' : indexText(view, `(${row})`, `(${column})`, width);
    const uses: Use[] = [
      ...sources.map(({ name, view }) => use(`${name}Values`, view, width)),
      use('results', output, width, true),
      ...(options.uses?.(width) ?? []),
    ];
    this.builder.addShader(
      { layer, pass, uses, workgroups: workgroupsFor(count, workgroupSize), ...(words !== undefined && { words }) },
      {
        workgroupSize,
        ...(parameters !== undefined && { parameters }),
        declarations: declarations?.(typeOf(width)) ?? '',
        body: `${threadIndex(count, workgroupSize)}
  let row = i / ${across}u;
  let column = i % ${across}u;
${sources.map(({ name, view, row, column }) => `  let ${name} = ${name}Values[${index(view, row, column)}];`).join('\n')}
  results[${index(output)}] ${accumulate ? '+=' : '='} ${expression};`,
      },
    );
  }

  /** A kernel with `count` threads, each with a number `i`. */
  threads(layer: string, pass: Pass, count: number, uses: readonly Use[], body: string, declarations = ''): void {
    const { workgroupSize } = this.tuning;
    this.builder.addShader(
      { layer, pass, uses, workgroups: workgroupsFor(count, workgroupSize) },
      { workgroupSize, declarations, body: `${threadIndex(count, workgroupSize)}\n${body}` },
    );
  }
}

/** A use of a tensor's memory, `width` elements at a time. */
export function use(name: string, { storage }: { readonly storage: Storage }, width: Width, written = false): Use {
  return { name, type: storedTypeOf(storage, width), storage, ...(written && { written }) };
}

/** Whether the network's output is plain as it is: pixels would have their channels side by side. */
export function isPlain({ outputShape }: Network): boolean {
  return sizeOf(outputShape) === outputShape[0];
}
