/**
 * `quantization`, a key of study files beside those of the configuration. Nothing is trained with it: when a network is trained, its frozen file is
 * quantized as the variant says, and the accuracy and the bytes of that file are what is compared. Variants that differ in nothing else
 * share their trainings.
 */
import * as z from 'zod';
import { calibrationMethods, quantizationSchemes } from '../deploy/metadata.ts';
import type { ConfigOverrides } from '../train/config-schema.ts';
import { ConfigurationError } from '../util/errors.ts';
import { showValue } from '../util/show-value.ts';
import { didYouMean } from '../util/suggest.ts';

const percentileAllowed = 'a number above 50 and at most 100';
const weightBitsAllowed = '7 or 8';
const [integers, ...weightsOnly] = quantizationSchemes;

const schema = z.discriminatedUnion(
  'scheme',
  [
    z.strictObject({ scheme: z.literal('none') }),
    z.strictObject({ scheme: z.literal(weightsOnly) }),
    z.strictObject({
      scheme: z.literal(integers),
      calibration: z.enum(calibrationMethods, `one of ${calibrationMethods.join(', ')}`).default('mse'),
      /** Of the method `percentile`: the share of the values within the range, in percent. */
      percentile: z.number(percentileAllowed).gt(50, percentileAllowed).max(100, percentileAllowed).optional(),
      weightBits: z.literal([7, 8], weightBitsAllowed).default(7),
    }),
  ],
  `one of ${['none', ...quantizationSchemes].join(', ')}`,
);

/** How the file of a variant is quantized; `none` is the file in float32. */
export type StudyQuantization = Readonly<z.output<typeof schema>>;

/** Whether a file is not in float32. */
export function isQuantized(quantization: StudyQuantization | undefined): boolean {
  return quantization !== undefined && quantization.scheme !== 'none';
}

const key = 'quantization';

function isOfQuantization(name: string): boolean {
  return name === key || name.startsWith(`${key}.`);
}

/** Whether any of the keys is about quantization. */
export function asksForQuantization(overrides: ConfigOverrides): boolean {
  return Object.keys(overrides).some(isOfQuantization);
}

/** The keys of the configuration: those that are not about quantization. */
export function withoutQuantization(overrides: ConfigOverrides): ConfigOverrides {
  return Object.fromEntries(Object.entries(overrides).filter(([name]) => !isOfQuantization(name)));
}

/**
 * What layers of keys say of quantization, the strongest last: `quantization: int8`, a group of keys, or dotted names. Another scheme
 * does not inherit the other keys.
 *
 * @throws ConfigurationError naming the key, its value and what is allowed
 */
export function quantizationOf(layers: readonly ConfigOverrides[]): StudyQuantization {
  const given = layers.map(groupOf).reduce(mergeGroups, { scheme: 'none' });
  const { success, data, error } = schema.safeParse(given, { reportInput: true });
  if (!success) throw new ConfigurationError(error.issues.map((issue) => describeIssue(issue, given)).join('\n'));
  if (data.scheme === 'int8' && data.percentile !== undefined && data.calibration !== 'percentile') {
    throw new ConfigurationError(
      `quantization.percentile (=${data.percentile}) is for the method percentile, and quantization.calibration is ${data.calibration}`,
      { fix: 'add quantization.calibration: percentile, or leave it out' },
    );
  }
  return data;
}

type Group = Readonly<Record<string, unknown>>;

function groupOf(layer: ConfigOverrides): Group {
  const whole = layer[key];
  const dotted = Object.entries(layer).filter(([name]) => name.startsWith(`${key}.`));
  return {
    ...(isGroup(whole) ? whole : whole === undefined ? {} : { scheme: whole }),
    ...Object.fromEntries(dotted.map(([name, value]) => [name.slice(key.length + 1), value])),
  };
}

function isGroup(value: unknown): value is Group {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function mergeGroups(before: Group, after: Group): Group {
  return 'scheme' in after && after['scheme'] !== before['scheme'] ? after : { ...before, ...after };
}

function describeIssue(issue: z.core.$ZodIssue, given: Group): string {
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(given);
    return issue.keys
      .map(
        (name) =>
          `there is no key "${name}" in quantization of scheme "${String(given['scheme'])}".${didYouMean(name, known)} Allowed: ${known.join(', ')}`,
      )
      .join('\n');
  }
  const [name] = issue.path;
  return `quantization.${String(name)} (=${showValue(given[String(name)])}) must be ${issue.message}`;
}

function knownKeys({ scheme }: Group): readonly string[] {
  const [none, , calibrated] = schema.options;
  return Object.keys((scheme === integers ? calibrated : none).shape);
}
