/** How a frozen file may be quantized: what is asked for, and what the file then says of it. */
import * as z from 'zod';

/** What of a file is stored in fewer bits: everything that computes in integers, or its weights only. */
export const quantizationSchemes = ['int8', 'int8-weights', 'float16-weights'] as const;
export type QuantizationScheme = (typeof quantizationSchemes)[number];

/** How the range of an activation follows from the values seen. */
export const calibrationMethods = ['min-max', 'percentile', 'mse'] as const;
export type CalibrationMethod = (typeof calibrationMethods)[number];

const [integers, ...weightsOnly] = quantizationSchemes;

const percentile = z.number().gt(50).max(100);

/** Of integer arithmetic. */
export const integerSettings = z
  .strictObject({
    scheme: z.literal(integers),
    calibration: z.enum(calibrationMethods).default('mse'),
    /** Of the method `percentile`: the share of the values within the range, in percent; default 99.99. */
    percentile: percentile.optional(),
    /** Bits in use of each weight: with 7, no processor adds up wrongly. */
    weightBits: z.literal([7, 8]).default(7),
  })
  .refine((settings) => settings.percentile === undefined || settings.calibration === 'percentile', {
    path: ['percentile'],
    error: 'left out: it is for the calibration percentile',
  });

/** What is asked for. Weights alone are not calibrated, and have no bits to spare. */
export const quantizationSettings = z.discriminatedUnion('scheme', [
  integerSettings,
  z.strictObject({ scheme: z.literal(weightsOnly) }),
]);

export type QuantizationSettings = Readonly<z.output<typeof quantizationSettings>>;
export type IntegerSettings = Readonly<z.output<typeof integerSettings>>;

/** What a file records. */
export const quantizationRecord = z.strictObject({
  scheme: z.enum(quantizationSchemes),
  /** Bits in use of each stored weight. */
  weightBits: z.literal([7, 8, 16]),
  /** Null where activations stay float32. */
  calibration: z
    .strictObject({
      method: z.enum(calibrationMethods),
      /** Null of other methods. */
      percentile: percentile.nullable(),
      /** Training images. */
      images: z.int().positive(),
      seed: z.int().min(0),
      dataset: z.string(),
      fingerprint: z.string(),
    })
    .nullable(),
  /** Steps of training with rounded weights before; 0 for none. */
  fineTuningSteps: z.int().min(0),
  /** Layers with parameters that were left in float32. */
  floatLayers: z.array(z.string()),
  /** The float32 file that it was made of. */
  source: z.strictObject({ bytes: z.int().positive(), sha256: z.string() }),
});

export type Quantization = Readonly<z.output<typeof quantizationRecord>>;
