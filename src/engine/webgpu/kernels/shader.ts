/** The frame around a kernel's WGSL text: its buffers, its numbers of the moment, and which element a thread is for. */

import { largestDepth, largestTogether } from '../gpu.ts';

/** Of a storage buffer's elements. What is read of float16 (`f16`, `vec4h`) is computed with as float32, and rounded when it is written. */
export type ElementType = 'f32' | 'vec4f' | 'u32' | 'vec4u' | HalfType;

type HalfType = 'f16' | 'vec4h';

export interface ShaderBuffer {
  /** In the text. */
  readonly name: string;
  readonly type: ElementType;
  /** Whether the kernel writes it (it may read it too). */
  readonly written?: boolean;
  /**
   * What it is a part of: where the part begins comes with each call, before the other numbers. Parts of the same memory, one of which is written, are one
   * binding, since what is written may be bound only once: they must be of one type.
   */
  readonly storage?: object;
}

/** The bindings of buffers, and which of them each is at. */
export function bindingsOf<B extends ShaderBuffer>(
  buffers: readonly B[],
): { readonly bindings: readonly B[]; readonly at: readonly number[] } {
  const bindings: B[] = [];
  const at = buffers.map((buffer) => {
    const { storage, type } = buffer;
    const isWritten = buffers.some((other) => other.storage === storage && other.written === true);
    const known = storage === undefined || !isWritten ? -1 : bindings.findIndex((other) => other.storage === storage);
    if (known < 0) return bindings.push(buffer) - 1;
    const first = bindings[known]!;
    if (first.type !== type)
      throw new Error(`"${first.name}" and "${buffer.name}" are parts of the same memory, and must have one type`);
    bindings[known] = { ...first, written: true };
    return known;
  });
  return { bindings, at };
}

export interface ShaderOptions {
  /** In the order of the bindings. */
  readonly buffers: readonly ShaderBuffer[];
  /** Names and types of the numbers that come with each call (in `parameters`); none by default. */
  readonly parameters?: Readonly<Record<string, 'f32' | 'u32'>>;
  /** Functions and constants. */
  readonly declarations?: string;
  readonly workgroupSize: number;
  /** Workgroups in the third dimension; default 1. */
  readonly depth?: number;
  /** Of `main`, which knows `workgroup: vec3u` and `local: u32`. */
  readonly body: string;
}

/** A run has one set of numbers or more, and workgroups for each: those of the first, then those of the next in the third dimension. */
export function shader({ buffers, parameters, declarations = '', workgroupSize, depth = 1, body }: ShaderOptions): string {
  const { bindings, at } = bindingsOf(buffers);
  const declared = bindings.map(
    ({ name, type, written = false }, i) =>
      `@group(0) @binding(${i}) var<storage, ${written ? 'read_write' : 'read'}> ${name}: array<${type}>;`,
  );
  const starts = buffers.filter(({ storage }) => storage !== undefined).map(({ name }) => `${name}Start`);
  const fields = [
    ...starts.map((name) => `${name}: u32`),
    ...Object.entries(parameters ?? {}).map(([name, type]) => `${name}: ${type}`),
  ];
  const used = fields.length === 0 ? ['unused: u32'] : fields;
  const names = new Map(
    buffers.flatMap(({ name, storage }, i) => (storage === undefined ? [] : [[name, bindings[at[i]!]!.name]])),
  );
  const halves = new Map(buffers.flatMap(({ name, type }) => (isHalf(type) ? [[name, type] as const] : [])));
  const textOf = (text: string) => withStarts(halves.size === 0 ? text : withConversions(text, halves), names);
  return `${halves.size === 0 ? '' : 'enable f16;\n'}${declared.join('\n')}
struct Parameters { @align(16) ${used.join(', ')} }
@group(1) @binding(0) var<uniform> sets: array<Parameters, ${largestTogether}>;
var<private> parameters: Parameters;
${textOf(declarations)}
@compute @workgroup_size(${workgroupSize})
fn main(@builtin(workgroup_id) place: vec3u, @builtin(local_invocation_index) local: u32) {
  parameters = sets[place.z / ${depth}u];
  let workgroup = vec3u(place.xy, place.z % ${depth}u);
${textOf(body)}
}`;
}

function isHalf(type: ElementType): type is HalfType {
  return type === 'f16' || type === 'vec4h';
}

const computedAs: Readonly<Record<HalfType, string>> = { f16: 'f32', vec4h: 'vec4f' };

/** `xs[i]` becomes `vec4f(xs[i])`, and `xs[i] = value;` `xs[i] = vec4h(value);`, for buffers of float16. */
function withConversions(text: string, halves: ReadonlyMap<string, HalfType>): string {
  const access = /\b(\w+)\[/g;
  for (let found = access.exec(text); found !== null; found = access.exec(text)) {
    const [, name] = found as unknown as readonly [string, string];
    const type = halves.get(name);
    if (type === undefined) continue;
    const before = text.slice(0, found.index);
    const start = access.lastIndex;
    const end = closingBracket(text, start);
    const element = `${name}[${withConversions(text.slice(start, end), halves)}]`;
    const [assigned, sign] = /^\s*(\+?)=(?!=)\s*/.exec(text.slice(end + 1)) ?? [];
    const known = `${computedAs[type]}(${element})`;
    if (assigned === undefined) return before + known + withConversions(text.slice(end + 1), halves);
    const from = end + 1 + assigned.length;
    const to = text.indexOf(';', from);
    const value = withConversions(text.slice(from, to), halves);
    const rounded = `${type}(${sign === '+' ? `${known} + (${value})` : value})`;
    return `${before}${element} = ${rounded}${withConversions(text.slice(to), halves)}`;
  }
  return text;
}

/** Where the bracket is closed behind which `start` is. */
function closingBracket(text: string, start: number): number {
  let open = 1;
  let at = start;
  for (; open > 0; at++) open += text[at] === '[' ? 1 : text[at] === ']' ? -1 : 0;
  return at - 1;
}

/** `xs[i]` becomes `memory[parameters.xsStart + (i)]`, for the names of buffers and of the bindings that they are parts of. */
function withStarts(text: string, names: ReadonlyMap<string, string>): string {
  const open: boolean[] = [];
  return text.replaceAll(/\b(\w+)\[|\[|\]/g, (found, name?: string) => {
    if (found === ']') return open.pop() === true ? ')]' : ']';
    const memory = name === undefined ? undefined : names.get(name);
    open.push(memory !== undefined);
    return memory === undefined ? found : `${memory}[parameters.${name!}Start + (`;
  });
}

/** Text that makes `i` the number of the thread, below `count` (a number or an expression): the rest of the threads return. */
export function threadIndex(count: number | string, workgroupSize: number): string {
  const limit = typeof count === 'number' ? `${count}u` : count;
  return `  let i = (workgroup.y * ${largestDepth}u + workgroup.x) * ${workgroupSize}u + local;
  if (i >= ${limit}) { return; }`;
}

/** The workgroups for `threadIndex`. */
export function workgroupsFor(count: number, workgroupSize: number): readonly [number, number, number] {
  const workgroups = Math.ceil(count / workgroupSize);
  return workgroups <= largestDepth ? [workgroups, 1, 1] : [largestDepth, Math.ceil(workgroups / largestDepth), 1];
}

/** A float's text: WGSL takes no bare `1` for one, and has no infinity. */
export function float(value: number): string {
  const text = String(Math.fround(value));
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}
