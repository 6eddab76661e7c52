/** All optimizers. To add one: its file, and a line here. */
import * as z from 'zod';
import { adamw } from './adamw.ts';
import { muon } from './muon.ts';
import type { Optimizer, OptimizerKind, Updated } from './optimizer.ts';
import { sgd } from './sgd.ts';

export const optimizers = [sgd, adamw, muon] as const;

type SchemasOf<Kinds extends readonly OptimizerKind<z.ZodObject>[]> = { [I in keyof Kinds]: Kinds[I]['schema'] };

/** The configuration's `optimizer`: its `type`, and the options of that type alone. */
export const optimizerSchema = z.discriminatedUnion(
  'type',
  optimizers.map(({ schema }) => schema) as unknown as SchemasOf<typeof optimizers>,
);

export type OptimizerOptions = Readonly<z.output<typeof optimizerSchema>>;

/** An optimizer at its start, all of its state zero. */
export function createOptimizer(updated: Updated, options: OptimizerOptions): Optimizer {
  return optimizerOfType(options.type)!.create(updated, options);
}

/** Undefined for a type that no optimizer has. */
export function optimizerOfType(type: unknown): OptimizerKind<z.ZodObject> | undefined {
  const kinds: readonly OptimizerKind<z.ZodObject>[] = optimizers;
  return kinds.find(({ schema }) => (schema.shape['type'] as z.ZodLiteral).value === type);
}
