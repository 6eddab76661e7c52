/** What a frozen file says of itself, in the metadata properties of the ONNX format: strings by name, JSON where they are more than one word. */
import * as z from 'zod';
import type { SplitName } from '../data/dataset.ts';
import { weightsKinds } from '../train/weights.ts';
import { DataError } from '../util/errors.ts';
import { decodeMetadata } from './onnx/schema.ts';

const format = 'ablate-frozen-1';

const splits = ['train', 'val', 'test'] as const satisfies readonly SplitName[];

const accuracySchema = z.strictObject({
  /** Fraction of images classified correctly. */
  value: z.number().min(0).max(1),
  split: z.enum(splits),
  images: z.int().positive(),
  /** Name of the data set and its fingerprint. */
  dataset: z.string(),
  fingerprint: z.string(),
});

const count = z.int().min(0);

/** What of a file is stored in fewer bits: everything that computes in integers, or its weights only. */
export const quantizationSchemes = ['int8', 'int8-weights', 'float16-weights'] as const;
export type QuantizationScheme = (typeof quantizationSchemes)[number];

/** How the range of an activation follows from the values seen. */
export const calibrationMethods = ['min-max', 'percentile', 'mse'] as const;
export type CalibrationMethod = (typeof calibrationMethods)[number];

const quantizationSchema = z.strictObject({
  scheme: z.enum(quantizationSchemes),
  /** Bits in use of each stored weight. */
  weightBits: z.union([z.literal(7), z.literal(8), z.literal(16)]),
  /** Null where activations stay float32. */
  calibration: z
    .strictObject({
      method: z.enum(calibrationMethods),
      /** Of the method `percentile`: the share of the values within the range, in percent. */
      percentile: z.number().gt(50).max(100).nullable(),
      /** Training images. */
      images: z.int().positive(),
      seed: count,
      dataset: z.string(),
      fingerprint: z.string(),
    })
    .nullable(),
  /** Steps of training with rounded weights before; 0 for none. */
  fineTuningSteps: count.default(0),
  /** Layers with parameters that were left in float32. */
  floatLayers: z.array(z.string()),
  /** The float32 file that it was made of. */
  source: z.strictObject({ bytes: z.int().positive(), sha256: z.string() }),
});
const side = z.int().positive();

const metadataSchema = z.strictObject({
  model: z.string(),
  /** Names of the classes, in the order of the outputs. */
  classes: z.array(z.string()).min(2),
  /** Side of the images that the network was trained and evaluated on, in pixels: pictures are scaled to it. */
  imageSize: side,
  /** Side of the central square that the network sees, in pixels: the smallest image allowed. */
  inputSize: side,
  /** `<model>/<number>`, or null for weights that are of no run. */
  run: z.string().nullable().default(null),
  /** Steps trained, where that is known. */
  step: count.nullable().default(null),
  weights: z.enum(weightsKinds),
  /** Where it was measured. */
  accuracy: accuracySchema.nullable().default(null),
  /** Without running statistics. */
  parameters: count,
  /** Arithmetic operations for one image by the study's counting rule. */
  operations: count,
  multiplyAdds: count,
  /** How it was quantized; null for a file in float32. */
  quantization: quantizationSchema.nullable().default(null),
  ablateVersion: z.string(),
  /** The training configuration, complete. */
  config: z.record(z.string(), z.unknown()),
});

export type FrozenMetadata = Readonly<z.output<typeof metadataSchema>>;
export type FrozenAccuracy = Readonly<z.output<typeof accuracySchema>>;
export type Quantization = Readonly<z.output<typeof quantizationSchema>>;

/** As the properties of an ONNX file. Strings are written as they are, everything else as JSON; null is left out. */
export function encodeFrozenMetadata(metadata: FrozenMetadata): Record<string, string> {
  const properties: Record<string, string> = { format };
  for (const [key, value] of Object.entries(metadata)) {
    if (value !== null) properties[key] = typeof value === 'string' ? value : JSON.stringify(value);
  }
  return properties;
}

/**
 * Reads the metadata of a file that `ablate freeze` wrote.
 *
 * @param source what to call the file in errors
 * @throws DataError if the bytes are no ONNX model, or one from elsewhere, of which neither classes nor preprocessing are known
 */
export function readFrozenMetadata(bytes: Uint8Array, source: string): FrozenMetadata {
  const properties = decodeMetadata(bytes);
  if (properties === undefined) {
    throw new DataError(`${source} is not an ONNX file, or is damaged`, {
      fix: 'make one with: ablate freeze <run> -o model.onnx',
    });
  }
  const { format: found, ...rest } = properties;
  if (found !== format) {
    const what = found === undefined ? 'was not written by ablate' : `has the format ${JSON.stringify(found)}, not ${format}`;
    throw new DataError(`${source} ${what}: its classes and its preprocessing are not known`, {
      fix: 'make one with: ablate freeze <run> -o model.onnx',
    });
  }
  const values = Object.entries(rest).map(([key, text]) => [key, isText(key) ? text : parseJson(text)]);
  const parsed = metadataSchema.safeParse(Object.fromEntries(values));
  if (!parsed.success) {
    const problem = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
    throw new DataError(`the metadata of ${source} is damaged: ${problem}`, { fix: 'freeze it again' });
  }
  return parsed.data;
}

function isText(key: string): boolean {
  const text: readonly string[] = ['model', 'run', 'weights', 'ablateVersion'];
  return text.includes(key);
}

/** Undefined where it is not JSON: the schema then says which property is wrong. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
