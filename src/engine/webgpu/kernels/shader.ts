/** The frame around a kernel's WGSL text: its buffers, its numbers of the moment, and which element a thread is for. */

/** Of a storage buffer's elements. */
export type ElementType = 'f32' | 'vec4f' | 'u32' | 'vec4u';

export interface ShaderBuffer {
  /** In the text. */
  readonly name: string;
  readonly type: ElementType;
  /** Whether the kernel writes it (it may read it too). */
  readonly written?: boolean;
}

export interface ShaderOptions {
  /** In the order of the bindings. */
  readonly buffers: readonly ShaderBuffer[];
  /** Names and types of the numbers that come with each call (in `parameters`); none by default. */
  readonly parameters?: Readonly<Record<string, 'f32' | 'u32'>>;
  /** Functions and constants. */
  readonly declarations?: string;
  readonly workgroupSize: number;
  /** Of `main`, which knows `workgroup: vec3u` and `local: u32`. */
  readonly body: string;
}

export function shader({ buffers, parameters, declarations = '', workgroupSize, body }: ShaderOptions): string {
  const bindings = buffers.map(
    ({ name, type, written = false }, i) =>
      `@group(0) @binding(${i}) var<storage, ${written ? 'read_write' : 'read'}> ${name}: array<${type}>;`,
  );
  const fields = Object.entries(parameters ?? {}).map(([name, type]) => `${name}: ${type}`);
  const uniform =
    fields.length === 0
      ? ''
      : `struct Parameters { ${fields.join(', ')} }\n@group(1) @binding(0) var<uniform> parameters: Parameters;`;
  return `${bindings.join('\n')}
${uniform}
${declarations}
@compute @workgroup_size(${workgroupSize})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
${body}
}`;
}

/** WebGPU's least maximum of workgroups in a dimension. */
const maximumWorkgroups = 65535;

/** Text that makes `i` the number of the thread, below `count` (a number or an expression): the rest of the threads return. */
export function threadIndex(count: number | string, workgroupSize: number): string {
  const limit = typeof count === 'number' ? `${count}u` : count;
  return `  let i = (workgroup.y * ${maximumWorkgroups}u + workgroup.x) * ${workgroupSize}u + local;
  if (i >= ${limit}) { return; }`;
}

/** The workgroups for `threadIndex`. */
export function workgroupsFor(count: number, workgroupSize: number): readonly [number, number, number] {
  const workgroups = Math.ceil(count / workgroupSize);
  return workgroups <= maximumWorkgroups ? [workgroups, 1, 1] : [maximumWorkgroups, Math.ceil(workgroups / maximumWorkgroups), 1];
}

/** A float's text: WGSL takes no bare `1` for one, and has no infinity. */
export function float(value: number): string {
  const text = String(Math.fround(value));
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}
