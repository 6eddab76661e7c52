/** What a file of weights says of its network: strings by name in the header of the safetensors format, JSON where they are more than a word. */
import * as z from 'zod';
import { DataError } from '../util/errors.ts';
import { readSafetensorsMetadata } from './safetensors.ts';

/** Of JSON text. What follows is what the text must hold. */
function json<T extends z.ZodType>(schema: T, allowed?: string) {
  const parse = (text: string, context: z.RefinementCtx<string>): unknown => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue('JSON');
      return z.NEVER;
    }
  };
  return z.string(allowed).transform(parse).pipe(schema);
}

const classifierText = 'an object with network, preprocessing, classes and imageShape';
const stepText = 'an integer of at least 0';

const schema = z.object({
  /** The complete configuration; train/config.ts says what it holds. */
  config: json(z.record(z.string(), z.unknown(), 'an object of keys')),
  model: z.string('a name').min(1, 'a name'),
  /** Steps taken. */
  step: json(z.int(stepText).min(0, stepText)).optional(),
  /** What the weights belong to; train/classifier.ts says what it holds. */
  classifier: json(z.record(z.string(), z.unknown(), classifierText), classifierText),
  /** Name of the data set and its fingerprint. */
  dataset: z.string().optional(),
  datasetFingerprint: z.string().optional(),
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
  const { success, data, error } = schema.safeParse(metadata);
  const problems = success ? [] : error.issues.map(({ path, message }) => problemOf(String(path[0]), metadata, message));
  if (success && data.config['model'] !== data.model) problems.push(problemOf('model', metadata, 'the same as in config'));
  if (success && problems.length === 0) return data;
  throw new DataError(`the metadata of ${source} is damaged: ${problems.join('; ')}`, {
    fix: 'use another file, or an earlier checkpoint',
  });
}

function problemOf(key: string, metadata: Readonly<Record<string, string>>, allowed: string): string {
  const { [key]: text = 'missing' } = metadata;
  return `${key} (=${text.length > 60 ? `${text.slice(0, 60)}...` : text}) must be ${allowed}`;
}

/** The same of a file, of which no more is read; not of a compressed one. */
export function readWeightsMetadata(path: string): WeightsMetadata | undefined {
  return parseWeightsMetadata(readSafetensorsMetadata(path), path);
}
