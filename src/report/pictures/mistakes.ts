/** What a network got wrong: as a page with the pictures, as a table for programs, and as a sheet. */
import type { ImageSet } from '../../data/dataset.ts';
import { encodePng } from '../../runs/png.ts';
import { worstFirst, type Prediction, type RecordedPredictions } from '../../train/predictions.ts';
import { formatAccuracy, formatCount } from '../../util/format.ts';
import { csv } from '../csv.ts';
import { escape, htmlPage } from '../page.ts';
import { imageRaster } from './rasters.ts';
import { pictureSheet } from './sheet.ts';

export interface MistakesOptions {
  /** What was evaluated, in words. */
  readonly title: string;
  readonly classes: readonly string[];
  readonly predictions: Pick<RecordedPredictions, 'count' | 'at'>;
  /** Those that the predictions are of. */
  readonly images: ImageSet;
  /** `[C, H, W]` of the images. */
  readonly shape: readonly [number, number, number];
}

/** Pictures on a page: of all mistakes, of each confusion, and confusions. */
const [mostOfAll, mostOfEach, mostPairs] = [120, 12, 15];
/** Pictures on a sheet. */
const mostOnSheet = 63;

/** Every mistake, the surest first: fractions as numbers. */
export function mistakesCsv({ predictions, classes }: Pick<MistakesOptions, 'predictions' | 'classes'>): string {
  const rows = worstFirst(predictions).map(({ image, label, prediction, probability, labelProbability }) => [
    image,
    nameOf(classes, label),
    nameOf(classes, prediction),
    Number(probability.toPrecision(6)),
    Number(labelProbability.toPrecision(6)),
  ]);
  return csv([['index', 'label', 'prediction', 'probability', 'labelProbability'], ...rows]);
}

export function mistakesPage(options: MistakesOptions): string {
  const { title, predictions, classes } = options;
  const mistakes = worstFirst(predictions);
  const pairs = pairsOf(mistakes).slice(0, mostPairs);
  const grid = (shown: readonly Prediction[]) =>
    `<div class="pictures">${shown.map((each) => figure(each, options)).join('\n')}</div>`;
  return htmlPage(
    `Mistakes of ${title}`,
    `<style>
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(112px, 1fr)); gap: 12px; }
.pictures figure { margin: 0; }
.pictures img { width: 96px; height: 96px; object-fit: contain; image-rendering: pixelated; border-radius: 4px; }
.pictures figcaption, .pictures .muted { font-size: 12.5px; font-weight: 400; line-height: 1.35; }
</style>
<p>${formatCount(mistakes.length)} of ${formatCount(predictions.count)} images are taken for something else: ${formatAccuracy(1 - mistakes.length / predictions.count)} are right.</p>
<p class="muted">Under each picture: what it is, what the network says with which probability, and the probability of what it is. The number is its place in the split.</p>
<h2>The surest mistakes</h2>
${grid(mistakes.slice(0, mostOfAll))}
${pairs
  .map(
    ({ label, prediction, mistakes: of }) =>
      `<h2>${escape(nameOf(classes, label))} taken for ${escape(nameOf(classes, prediction))}: ${formatCount(of.length)}</h2>\n${grid(of.slice(0, mostOfEach))}`,
  )
  .join('\n')}`,
  );
}

function figure(each: Prediction, { images, shape, classes }: MistakesOptions): string {
  const { image, label, prediction, probability, labelProbability } = each;
  const data = Buffer.from(encodePng(imageRaster(images, image, shape))).toString('base64');
  const [is, said] = [nameOf(classes, label), nameOf(classes, prediction)].map(escape) as [string, string];
  return `<figure><img alt="image ${image}, ${is}" src="data:image/png;base64,${data}"><figcaption><b>${is}</b><br>${said} ${percent(probability)}<br><span class="muted">${is} ${percent(labelProbability)}<br>no. ${image}</span></figcaption></figure>`;
}

/** The surest mistakes as one picture. */
export function mistakesSheet({ title, predictions, classes, images, shape }: MistakesOptions): string {
  const pictures = worstFirst(predictions)
    .slice(0, mostOnSheet)
    .map(({ image, label, prediction, probability }) => ({
      raster: imageRaster(images, image, shape),
      caption: [nameOf(classes, label), `${nameOf(classes, prediction)} ${percent(probability)}`],
    }));
  return pictureSheet(`Mistakes of ${title}`, [
    { heading: 'What it is, and what the network says, the surest mistakes first', pictures },
  ]);
}

/** Confusions by how many there are. */
function pairsOf(mistakes: readonly Prediction[]) {
  const pairs = new Map<string, { label: number; prediction: number; mistakes: Prediction[] }>();
  for (const each of mistakes) {
    const key = `${each.label} ${each.prediction}`;
    const pair = pairs.get(key) ?? { label: each.label, prediction: each.prediction, mistakes: [] };
    pair.mistakes.push(each);
    pairs.set(key, pair);
  }
  return [...pairs.values()].sort((a, b) => b.mistakes.length - a.mistakes.length);
}

function nameOf(classes: readonly string[], index: number): string {
  return classes[index] ?? String(index);
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)}%`;
}
