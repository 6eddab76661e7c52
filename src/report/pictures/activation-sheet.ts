/** What the layers of a network make of an image, as a sheet of grey maps. */
import type { ImageActivations } from '../../train/activations.ts';
import type { Raster } from '../../runs/png.ts';
import { greyRaster } from './rasters.ts';
import { pictureSheet } from './sheet.ts';

/** Of a layer. */
const mostMaps = 64;
/** Probabilities told. */
const mostClasses = 3;

/** The maps of one layer: the same brightness is the same number in all of them. */
export function mapsOf(
  values: Float64Array,
  [channels, height, width]: readonly [number, number, number],
  most = mostMaps,
): Raster[] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const plane = height * width;
  return Array.from({ length: Math.min(channels, most) }, (_, i) =>
    greyRaster(values.subarray(i * plane, (i + 1) * plane), [height, width], low, high),
  );
}

/** @param layers names of the layers shown; default: all whose tensors are images */
export function activationSheet(
  title: string,
  image: Raster,
  { layers, probabilities }: ImageActivations,
  classes: readonly string[],
  only?: readonly string[],
): string {
  const best = probabilities
    .map((probability, i) => ({ name: classes[i] ?? String(i), probability }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, mostClasses)
    .map(({ name, probability }) => `${name} ${(100 * probability).toFixed(1)}%`);
  const groups = layers.flatMap(({ name, kind, shape, values }) => {
    const isShown = only === undefined ? isImage(shape) : only.includes(name);
    if (!isShown || !isImage(shape)) return [];
    const hidden = shape[0] - mostMaps;
    const heading = `${name} (${kind}), ${shape.join(' x ')}${hidden > 0 ? `: the first ${mostMaps} channels` : ''}`;
    return [{ heading, pictures: mapsOf(values, shape).map((raster) => ({ raster })) }];
  });
  return pictureSheet(title, [{ heading: best.join(', '), pictures: [{ raster: image }] }, ...groups], 52);
}

function isImage(shape: readonly number[]): shape is readonly [number, number, number] {
  return shape.length === 3 && shape[1]! > 1 && shape[2]! > 1;
}
