/**
 * Parameters between arenas (the engine's layout) and named tensors (plain layout). A checkpoint holds each parameter under its name,
 * its moving average under `ema.<name>` and optimizer state under `opt.<slot>.<name>`; none of it depends on engine or batch size.
 */
import type { ArenaEntry, DeviceArray, ParameterArena } from '../engine/engine.ts';
import type { ParameterSpec } from '../nn/parameter.ts';
import { formatShape, sameShape } from '../nn/shape.ts';
import { checkpointWeights } from '../runs/checkpoint-weights.ts';
import type { Safetensors, Tensor } from '../runs/safetensors.ts';
import { DataError } from '../util/errors.ts';

/** Which of a checkpoint's weights: the moving averages, or the parameters as trained. */
export const weightsKinds = ['ema', 'raw'] as const;
export type WeightsKind = (typeof weightsKinds)[number];

/** The prefix of the moving averages' tensors. */
export const averagePrefix = 'ema.';

/** The prefix of an optimizer slot's tensors. */
export function slotPrefix(slot: string): string {
  return `opt.${slot}.`;
}

/** Named tensors of the given arena-shaped array, copied into plain layout. */
export async function tensorsOf(
  arena: ParameterArena,
  from: DeviceArray,
  prefix: string,
  entries: readonly ArenaEntry[] = arena.entries,
): Promise<Map<string, Tensor>> {
  const tensorOf = async (entry: ArenaEntry) =>
    [prefix + entry.spec.name, { shape: entry.spec.shape, data: await arena.read(entry, from) }] as const;
  return new Map(await Promise.all(entries.map(tensorOf)));
}

/**
 * Copies named tensors into an arena-shaped array. All are checked before the first is written.
 *
 * @param source what to call the tensors' origin in errors, usually a path
 * @throws DataError naming the tensors that are missing or have another shape
 */
export async function loadInto(
  arena: ParameterArena,
  into: DeviceArray,
  tensors: ReadonlyMap<string, Tensor>,
  prefix: string,
  source: string,
  entries: readonly ArenaEntry[] = arena.entries,
): Promise<void> {
  const specs = entries.map(({ spec }) => spec);
  requireShapes(specs, tensors, source, prefix);
  for (const entry of entries) await arena.write(entry, tensors.get(prefix + entry.spec.name)!.data, into);
}

/**
 * Checks that there is a tensor of the right shape for each parameter.
 *
 * @param source what to call the tensors' origin in errors, usually a path
 * @throws DataError naming the tensors that are missing or have another shape
 */
export function requireShapes(
  parameters: readonly ParameterSpec[],
  tensors: ReadonlyMap<string, Tensor>,
  source: string,
  prefix = '',
): void {
  const problems: string[] = [];
  for (const { name, shape } of parameters) {
    const tensor = tensors.get(prefix + name);
    if (tensor === undefined) problems.push(`${prefix}${name} is missing`);
    else if (!sameShape(tensor.shape, shape)) {
      problems.push(`${prefix}${name} is ${formatShape(tensor.shape)} and must be ${formatShape(shape)}`);
    }
  }
  if (problems.length > 0) throw new DataError(`${source} does not fit the network: ${listed(problems)}`);
}

/** Copies parameters from one arena to another, of another engine or batch size, through plain layout. */
export async function copyParameters(from: ParameterArena, values: DeviceArray, to: ParameterArena): Promise<void> {
  await loadInto(to, to.values, await tensorsOf(from, values, ''), '', 'the network being trained');
}

export interface LoadWeightsOptions {
  readonly kind: WeightsKind;
  /** Name of the network's model; a file that says it holds another is refused. */
  readonly model: string;
  /** What to call the file in errors, usually its path. */
  readonly source: string;
}

/**
 * Loads a checkpoint or weights file into a plan's arena.
 *
 * @throws DataError if the file is of another model, has no moving averages where those are asked for, lacks a parameter, has one the network
 *   does not have, or one of another shape
 */
export async function loadWeights(
  arena: ParameterArena,
  file: Safetensors,
  { kind, model, source }: LoadWeightsOptions,
): Promise<void> {
  const found = modelOf(file);
  if (found !== undefined && found !== model)
    throw new DataError(`${source} is of model ${found}, not ${model}`, { fix: `Use it with model ${found}, or other weights` });
  const tensors = checkpointWeights(file, kind, source);
  const known = new Set(arena.entries.map((entry) => entry.spec.name));
  const extra = [...tensors.keys()].filter((name) => !known.has(name));
  if (extra.length > 0) throw new DataError(`${source} does not fit the network, which has no ${listed(extra)}`);
  await loadInto(arena, arena.values, tensors, '', source);
}

/** The weights a file has: `ema` if there are moving averages, for which training keeps them. */
export function preferredWeights(file: Safetensors): WeightsKind {
  return [...file.tensors.keys()].some((name) => name.startsWith(averagePrefix)) ? 'ema' : 'raw';
}

/** The model a checkpoint says it belongs to; undefined for weights from elsewhere. */
export function modelOf(file: Safetensors): string | undefined {
  return file.metadata['model'];
}

function listed(items: readonly string[]): string {
  const shown = items.slice(0, 4).join(', ');
  return items.length > 4 ? `${shown} and ${items.length - 4} more` : shown;
}
