/** What a file of weights says of its network: strings by name in the header of the safetensors format, JSON where they are more than a word. */
import * as z from 'zod';
import { check, damaged, unwrap } from '../util/schema.ts';
import { readSafetensorsMetadata } from './safetensors.ts';

const fields = z.object({
  /** The complete configuration; train/config.ts says what it holds. */
  config: z.record(z.string(), z.unknown()),
  model: z.string('a name').min(1),
  /** Steps taken. */
  step: z.int().min(0).optional(),
  /** What the weights belong to; train/classifier.ts says what it holds. */
  classifier: z.record(z.string(), z.unknown(), 'a group of keys: network, preprocessing, classes, imageShape'),
  /** Name of the data set and its fingerprint. */
  dataset: z.string().optional(),
  datasetFingerprint: z.string().optional(),
});

const schema = fields.refine(({ model, config }) => config['model'] === model, {
  path: ['model'],
  error: 'the same as in config',
});

export type WeightsMetadata = Readonly<z.output<typeof schema>>;

/**
 * Checks the metadata of a file of weights, and reads what they hold.
 *
 * @param source what to call the file in errors, usually its path
 * @returns undefined for weights from elsewhere, which record no configuration
 * @throws DataError naming the entry that is damaged and what it must be
 */
export function parseWeightsMetadata(metadata: Readonly<Record<string, string>>, source: string): WeightsMetadata | undefined {
  if (metadata['config'] === undefined) return undefined;
  const refuse = damaged(`the metadata of ${source} is damaged`, 'use another file, or an earlier checkpoint');
  return check(schema, decodeMetadata(fields, metadata), refuse);
}

/** The values of metadata, which are strings: texts as they are, of all else the JSON. What is no JSON stays a string, for the schema to refuse. */
export function decodeMetadata({ shape }: z.ZodObject, metadata: Readonly<Record<string, string>>): Record<string, unknown> {
  const known = Object.entries(shape).filter(([key]) => metadata[key] !== undefined);
  return Object.fromEntries(known.map(([key, value]) => [key, decode(unwrap(value as z.ZodType), metadata[key]!)]));
}

function decode(schema: z.core.$ZodType, text: string): unknown {
  if (schema instanceof z.ZodString || schema instanceof z.ZodEnum) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** The same of a file, of which no more is read; not of a compressed one. */
export function readWeightsMetadata(path: string): WeightsMetadata | undefined {
  return parseWeightsMetadata(readSafetensorsMetadata(path), path);
}
