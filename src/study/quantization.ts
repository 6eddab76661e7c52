/**
 * `quantization`, a key of study files beside those of the configuration. Nothing is trained with it: when a network is trained, its frozen file is
 * quantized as the variant says, and the accuracy and the bytes of that file are what is compared. Variants that differ in nothing else
 * share their trainings.
 */
import * as z from 'zod';
import { quantizationSettings } from '../deploy/quantization.ts';
import type { ConfigOverrides } from '../train/config-schema.ts';
import { expandLayer, mergeLayers } from '../train/key-layers.ts';
import { check } from '../util/schema.ts';

export const quantizationSchema = z.discriminatedUnion('scheme', [
  z.strictObject({ scheme: z.literal('none') }),
  ...quantizationSettings.options,
]);

const schema = z.strictObject({ quantization: quantizationSchema });

/** How the file of a variant is quantized; `none` is the file in float32. */
export type StudyQuantization = Readonly<z.output<typeof quantizationSchema>>;

/** Whether a file is not in float32. */
export function isQuantized(quantization: StudyQuantization | undefined): boolean {
  return quantization !== undefined && quantization.scheme !== 'none';
}

function isOfQuantization(name: string): boolean {
  return name === 'quantization' || name.startsWith('quantization.');
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
 * What layers of keys say of quantization, the strongest last: `quantization: int8`, a group of keys, or dotted names.
 *
 * @throws ConfigurationError naming the key, its value and what is allowed
 */
export function quantizationOf(layers: readonly ConfigOverrides[]): StudyQuantization {
  const given = layers.map((layer) => Object.fromEntries(Object.entries(layer).filter(([name]) => isOfQuantization(name))));
  const expanded = [{ quantization: 'none' }, ...given].map((layer) => expandLayer(schema, layer, locate));
  const { quantization } = check(schema, mergeLayers(schema, expanded));
  return quantization;
}

function locate(name: string): readonly [key: string, rest?: string] {
  const [key = '', ...rest] = name.split('.');
  return rest.length === 0 ? [key] : [key, rest.join('.')];
}
