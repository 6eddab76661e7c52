import type { Command } from 'commander';
import type { Dataset } from '../../data/dataset.ts';
import type { SavedModel } from '../../train/saved-model.ts';
import { ConfigurationError, DataError } from '../../util/errors.ts';
import { formatCount } from '../../util/format.ts';
import { quoted } from '../../util/shell.ts';
import { addDataOptions, datasetOf, loadImages, type DataOptions } from '../dataset.ts';
import { runsDirOption } from '../options.ts';
import { claimOutput, forceOption, type Output } from '../output-file.ts';
import { print } from '../output.ts';
import { readReference } from '../saved-model.ts';

interface Options extends DataOptions {
  readonly output: string;
  readonly layer?: string;
  readonly image?: string;
  readonly force?: true;
  readonly runsDir: string;
}

export function addShowCommand(program: Command): void {
  const show = program.command('show').description('draw what a network has learnt, sees and gets wrong');
  const add = (name: string, description: string, reference: string, what: string) =>
    show
      .command(name)
      .description(description)
      .argument(reference, what)
      .requiredOption('-o, --output <file>', 'the picture: .png or .svg')
      .option(...forceOption)
      .option(...runsDirOption);
  const run = 'its folder, <model>/<number>, or <model> for its newest run';
  add('filters', 'the filters of the first convolution', '<run|file>', `a run (${run}), or a file of weights`)
    .option('--layer <name>', 'another convolution that sees the picture itself')
    .action(showFilters);
  const mistakes = add('mistakes', 'the surest mistakes of the last evaluation of a run', '<run>', run);
  addDataOptions(mistakes).action(showMistakes);
  const activations = add(
    'activations',
    'what each layer makes of an image',
    '<run|file>',
    `a run (${run}), or a file of weights`,
  )
    .option('--image <n|file>', 'number of a test image, or a picture file', '0')
    .option('--layer <names>', 'layers to show, separated by commas (default: all that make images)');
  addDataOptions(activations).action(showActivations);
}

async function showFilters(reference: string, options: Options): Promise<void> {
  const { saved } = await readReference(reference, options);
  const sheet = claimSheet(options, saved.path);
  const { filterRasters } = await import('../../report/pictures/filters.ts');
  const { pictureSheet } = await import('../../report/pictures/sheet.ts');
  const layer = options.layer ?? firstConvolution(saved);
  const filters = filterRasters(saved.file, layer, saved.path);
  const { width, height } = filters[0]!;
  const heading = `${filters.length} filters of ${width} x ${height} pixels, each scaled from its smallest weight to its largest`;
  await sheet.write(
    pictureSheet(`${layer} of ${titleOf(reference, saved)}`, [{ heading, pictures: filters.map((raster) => ({ raster })) }]),
  );
}

async function showMistakes(reference: string, options: Options): Promise<void> {
  const { findRun, runName } = await import('../../runs/run-folder.ts');
  const { readPredictions } = await import('../../train/predictions.ts');
  const { recordedConfig } = await import('../../train/resume.ts');
  const run = findRun(options.runsDir, reference);
  const sheet = claimSheet(options, run.path);
  const predictions = readPredictions(run);
  if (predictions === undefined) {
    throw new DataError(`${runName(run)} has no record of what it said of each image`, {
      fix: `ablate eval ${quoted(reference)} --mistakes mistakes.html evaluates it anew`,
    });
  }
  const { dataset: trainedOn, val } = recordedConfig(run);
  const dataset = await loadImages(datasetOf(reference, trainedOn, options), options);
  requireSameImages(predictions.datasetFingerprint, dataset, runName(run));
  const { mistakesSheet } = await import('../../report/pictures/mistakes.ts');
  const { splitOf } = await import('../../data/image-set.ts');
  const title = `${runName(run)} after ${formatCount(predictions.step)} steps`;
  const images = splitOf(dataset, predictions.split, val);
  await sheet.write(mistakesSheet({ title, predictions, images, classes: dataset.classes, shape: dataset.shape }));
}

function requireSameImages(fingerprint: string, dataset: Dataset, run: string): void {
  if (fingerprint === dataset.fingerprint) return;
  throw new DataError(`${run} was evaluated on other images than ${dataset.name} has now`, {
    fix: 'give the data set it was trained on with --data',
  });
}

async function showActivations(reference: string, options: Options): Promise<void> {
  const { saved } = await readReference(reference, options);
  const sheet = claimSheet(options, saved.path);
  const { classifier } = saved;
  if (classifier === undefined) {
    throw new DataError(`${saved.path} does not say which network its weights are of`, { fix: 'give a run or its checkpoint' });
  }
  const only = options.layer?.split(',');
  const names = classifier.network.layers.map(({ name }) => name);
  const unknown = only?.find((name) => name !== 'input' && !names.includes(name));
  if (unknown !== undefined) {
    throw new ConfigurationError(`layer (=${unknown}) must be one of ${names.join(', ')}`);
  }
  const { image, what } = await imageOf(saved, options);
  const { activationsOf } = await import('../../train/activations.ts');
  const { activationSheet } = await import('../../report/pictures/activation-sheet.ts');
  const { imageRaster } = await import('../../report/pictures/rasters.ts');
  const activations = activationsOf(classifier, saved.file, image, saved.path);
  const raster = imageRaster({ images: image }, 0, classifier.imageShape);
  await sheet.write(activationSheet(`${titleOf(reference, saved)}: ${what}`, raster, activations, classifier.classes, only));
}

/** The image that is asked for as `[C, H, W]` bytes, and what it is. */
async function imageOf(
  { classifier, config, path }: SavedModel,
  options: Options,
): Promise<{ readonly image: Uint8Array; readonly what: string }> {
  const { image: asked = '0' } = options;
  const { imageShape, preprocessing } = classifier!;
  const [channels, height, width] = imageShape;
  const size = channels * height * width;
  if (!/^\d+$/.test(asked)) {
    const { readPicture } = await import('../../data/read-picture.ts');
    const { fitPicture } = await import('../../data/fit-image.ts');
    const pixels = fitPicture(await readPicture(asked, preprocessing.inputSize), imageShape);
    const image = new Uint8Array(size);
    for (let i = 0; i < height * width; i++)
      for (let c = 0; c < channels; c++) image[c * height * width + i] = pixels[channels * i + c]!;
    return { image, what: asked };
  }
  const dataset = await loadImages(datasetOf(path, config.dataset, options), options);
  const { requireFits } = await import('../../train/classifier.ts');
  requireFits(classifier!, dataset, 'the network');
  const { test, classes } = dataset;
  const position = Number(asked);
  if (position >= test.count)
    throw new ConfigurationError(`image (=${asked}) must be below ${test.count}, the number of test images`);
  return {
    image: test.images.slice(position * size, (position + 1) * size),
    what: `test image ${position}, ${classes[test.labels[position]!]!}`,
  };
}

function firstConvolution({ classifier, path }: SavedModel): string {
  const first = classifier?.network.layers.find(({ kind }) => kind === 'conv');
  if (first === undefined)
    throw new ConfigurationError(`the layer is missing: ${path} does not say which is the first`, { fix: 'add --layer <name>' });
  return first.name;
}

/** `tuto/1 after 1,000 steps` */
function titleOf(reference: string, { step }: SavedModel): string {
  return step === undefined ? reference : `${reference} after ${formatCount(step)} steps`;
}

interface Sheet {
  write(svg: string): Promise<void>;
}

function claimSheet({ output: file, force }: Options, source: string): Sheet {
  const kind = /\.(png|svg)$/.exec(file)?.[1];
  if (kind === undefined) throw new ConfigurationError(`output (=${file}) must end in .png or .svg`);
  const output: Output = claimOutput(file, { source, what: 'show', force: force === true });
  return {
    async write(svg) {
      const { sheetAsPng } = await import('../../report/pictures/sheet.ts');
      output.write(kind === 'svg' ? new TextEncoder().encode(svg) : await sheetAsPng(svg));
      print(file);
    },
  };
}
