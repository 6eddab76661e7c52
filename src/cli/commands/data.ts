import type { Command } from 'commander';
import type { FileVerification } from '../../data/published.ts';
import type { Dataset, ImageSet, Labels } from '../../data/dataset.ts';
import { ConfigurationError, DataError } from '../../util/errors.ts';
import { requireMemory } from '../../util/limits.ts';
import { formatBytes, formatCount } from '../../util/format.ts';
import { dataDirOption, dataUrlOption, loadImages, withDataProgress, type SourceOptions } from '../dataset.ts';
import { formatSize, sidesOf } from '../../util/image-size.ts';
import { quoted } from '../../util/shell.ts';
import { jsonOption, integer } from '../options.ts';
import { claimOutput, forceOption, type Output } from '../output-file.ts';
import { note, print, printTable, printJson } from '../output.ts';

interface JsonOption {
  readonly json?: true;
}

interface ExportOptions extends SourceOptions, JsonOption {
  readonly output: string;
  readonly images?: number;
}

interface ShowOptions extends SourceOptions, JsonOption {
  readonly output?: string;
  readonly force?: true;
  readonly split: string;
  readonly rows?: number;
  readonly augment?: true;
  readonly recipe?: string;
  readonly seed: number;
}

const published = 'cifar10, cifar100, mnist or fashion-mnist';

export function addDataCommand(program: Command): void {
  const data = program.command('data').description('fetch, verify and show data sets');
  data
    .command('fetch')
    .description('download a data set into the user cache unless it is there already')
    .argument('[dataset]', published, 'cifar10')
    .option(...dataUrlOption)
    .option(...jsonOption)
    .action(fetchData);
  data
    .command('verify')
    .description("compare a data set's files with the published checksums")
    .argument('[dataset]', published, 'cifar10')
    .option(...dataDirOption)
    .option(...jsonOption)
    .action(verifyData);
  data
    .command('show')
    .description('images per class, and a sheet of images as a network sees them')
    .argument('[dataset]', 'cifar10, cifar100, mnist, fashion-mnist, synthetic, images:<folder> or a file', 'cifar10')
    .option('-o, --output <file.png>', 'write a sheet with the first images of each class, a class in each column')
    .option(...forceOption)
    .option('--split <name>', 'split on the sheet: train or test', 'train')
    .option('--rows <n>', 'images of each class on the sheet (default: 8, or as many as there are)', integer(1))
    .option('--augment', 'cropped and augmented at random as in training')
    .option('--recipe <name>', 'recipe whose augmentation is used with --augment (default: 2017)')
    .option('--seed <n>', 'seed of the augmentation', integer(1), 1)
    .option(...dataDirOption)
    .option(...dataUrlOption)
    .option(...jsonOption)
    .action(showData);
  data
    .command('export')
    .description('write a data set as a folder of PNG files: <folder>/{train,test}/<class>/')
    .argument('[dataset]', 'as for data show', 'cifar10')
    .requiredOption('-o, --output <folder>', 'a new folder')
    .option('--images <n>', 'images of each class and split, the first ones (default: all)', integer(1))
    .option(...dataDirOption)
    .option(...dataUrlOption)
    .option(...jsonOption)
    .action(exportData);
}

async function fetchData(name: string, { dataUrl, json }: SourceOptions & JsonOption): Promise<void> {
  const { dataset, fetchDataset } = await publishedFiles(name);
  const { folder, downloaded } = await withDataProgress((onProgress) =>
    fetchDataset(dataset, { ...(dataUrl !== undefined && { dataUrl }), onProgress }),
  );
  if (json === true) printJson({ dataset: name, folder, downloaded });
  else print(`${dataset.title} is in ${folder} (${downloaded ? 'downloaded and verified' : 'verified'})`);
}

async function verifyData(name: string, { dataDir, json }: SourceOptions & JsonOption): Promise<void> {
  const { dataset, notHere } = await publishedFiles(name);
  const folder = dataset.find(dataDir === undefined ? {} : { dataDir });
  if (folder === undefined) throw notHere(dataset);
  const files = dataset.verify(folder);
  const isGood = (file: FileVerification) => file.problem === undefined;
  if (json === true) {
    const rows = files.map((file) => ({
      ...{ name: file.name, ok: isGood(file), checksum: file.checksum ?? null, problem: file.problem ?? null },
    }));
    printJson({ dataset: name, folder, ok: files.every(isGood), files: rows });
  } else {
    print(folder);
    for (const file of files) print(`${file.name}  ${file.problem ?? (file.checksum === undefined ? bySize : 'ok')}`);
  }
  const bad = files.filter((file) => !isGood(file));
  if (bad.length > 0)
    throw new DataError(`${bad.length} of ${files.length} files of ${dataset.title} in ${folder} are not as published`, {
      fix: `ablate data fetch ${dataset.name} downloads good copies`,
    });
}

const bySize = 'ok (its size and labels: no checksum of this file is published)';

async function publishedFiles(name: string) {
  const { publishedDataset } = await import('../../data/registry.ts');
  const { fetchDataset, notHere } = await import('../../data/published.ts');
  return { dataset: publishedDataset(name), fetchDataset, notHere };
}

async function showData(name: string, options: ShowOptions): Promise<void> {
  const sheet = claimSheet(name, options);
  const dataset = await loadImages(name, options);
  if (sheet !== undefined) await writeSheet(dataset, sheet.path, sheet.output, options);
  else if (options.augment === true || options.recipe !== undefined) {
    throw new ConfigurationError('--augment and --recipe are for the sheet of images', { fix: 'add -o sheet.png' });
  }
  const counts = { train: countPerClass(dataset.train, dataset.classes), test: countPerClass(dataset.test, dataset.classes) };
  if (options.json === true) printJson(describe(dataset, counts, options.output));
  else printCounts(dataset, counts);
}

async function exportData(name: string, { output, images, json, ...source }: ExportOptions): Promise<void> {
  const { exportPictures, requireNewFolder } = await import('../../report/pictures/export-folder.ts');
  requireNewFolder(output);
  const dataset = await loadImages(name, source);
  const counts = exportPictures(dataset, output, images);
  const [channels, height, width] = dataset.shape;
  const size = height === width ? height : formatSize([height, width]);
  const how = [...(size === 32 ? [] : [`size=${size}`]), ...(channels === 1 ? ['channels=1'] : [])].join('&');
  const next = `images:${output}${how === '' ? '' : `?${how}`}`;
  if (json === true) printJson({ dataset: name, folder: output, images: counts, data: next });
  else print(`wrote ${formatCount(counts.train + counts.test)} pictures; train on them with --data ${quoted(next)}`);
}

interface Counts {
  readonly train: readonly number[];
  readonly test: readonly number[];
}

function countPerClass(set: ImageSet, classes: readonly string[]): number[] {
  const counts = new Array<number>(classes.length).fill(0);
  for (const label of set.labels) counts[label]!++;
  return counts;
}

function describe(
  { name, synthetic, shape, fingerprint, classes, train, test }: Dataset,
  counts: Counts,
  sheet: string | undefined,
) {
  const perClass = classes.map((label, i) => ({ label, train: counts.train[i], test: counts.test[i] }));
  return {
    dataset: name,
    synthetic,
    shape,
    fingerprint,
    images: { train: train.count, test: test.count },
    perClass,
    sheet: sheet ?? null,
  };
}

function printCounts({ name, synthetic, shape, fingerprint, classes, train, test }: Dataset, counts: Counts): void {
  const number = (value: number | undefined) => formatCount(value ?? 0);
  const rows = classes.map((label, i) => [label, number(counts.train[i]), number(counts.test[i])]);
  const all = ['all', number(train.count), number(test.count)];
  printTable([['class', 'train', 'test'], ...rows, all], ['left', 'right', 'right']);
  print('');
  print(
    `${name}${synthetic ? ' (synthetic: drawn by this program, not photographs)' : ''}: ${shape.join('x')}, fingerprint ${fingerprint.slice(0, 16)}`,
  );
}

/** Images of each class on a sheet, if nothing is said. */
const usualRows = 8;

/** Before the images are read. */
function claimSheet(source: string, { output: path, force }: ShowOptions) {
  return path === undefined ? undefined : { path, output: claimOutput(path, { source, what: 'show', force: force === true }) };
}

/** Draws the first images of each class as network inputs, a class in each column. */
async function writeSheet(dataset: Dataset, path: string, output: Output, options: ShowOptions): Promise<void> {
  const { imageGrid } = await import('../../runs/image-grid.ts');
  const { augmentationKeys, createTransform, plainView } = await import('../../data/transform.ts');
  const { split } = options;
  if (split !== 'train' && split !== 'test') throw new ConfigurationError(`split (=${split}) must be train or test`);
  const { images, labels } = dataset[split];
  const most = Math.max(...countPerClass(dataset[split], dataset.classes));
  const { rows = Math.min(usualRows, most) } = options;
  if (rows > most) {
    throw new ConfigurationError(`rows (=${rows}) must be at most ${most}, the images of the largest class in ${split}`);
  }
  const positions = firstOfEachClass(labels, dataset.classes.length, rows);
  const preprocessing = await sheetPreprocessing(dataset, options);
  const transform = createTransform(dataset.shape, preprocessing);
  // The images as the network sees them, their bytes, and those of the file.
  requireMemory(6 * positions.length * transform.inputLength, `a sheet of ${positions.length} images`, 'give fewer --rows');
  const inputs = new Float32Array(positions.length * transform.inputLength);
  const keys = augmentationKeys(options.seed, 0);
  positions.forEach((position, i) => {
    if (options.augment === true) transform.training(images, position, keys, inputs, i * transform.inputLength);
    else transform.evaluation(images, position, plainView, inputs, i * transform.inputLength);
  });
  const columns = positions.length / rows;
  const { png, width, height } = imageGrid(inputs, [positions.length, dataset.shape[0], ...sidesOf(preprocessing.inputSize)], {
    columns,
  });
  output.write(png);
  note(`wrote ${path}: ${width}x${height} pixels, ${formatBytes(png.length)}, columns in the order of the classes`);
}

/** Row by row: one image of each class that has as many as there are rows. */
function firstOfEachClass(labels: Labels, classes: number, rows: number): number[] {
  const perClass = Array.from({ length: classes }, (): number[] => []);
  labels.forEach((label, position) => {
    if (perClass[label]!.length < rows) perClass[label]!.push(position);
  });
  const complete = perClass.filter((positions) => positions.length === rows);
  return Array.from({ length: rows }, (_, row) => complete.map((positions) => positions[row]!)).flat();
}

async function sheetPreprocessing(dataset: Dataset, options: ShowOptions) {
  const { resolveConfig } = await import('../../train/config.ts');
  const { createClassifier, trainingPreprocessing } = await import('../../train/classifier.ts');
  const { modelNames } = await import('../../models/registry.ts');
  // How images are prepared does not depend on the model, but a configuration has one.
  const model = modelNames()[0]!;
  const recipe = options.recipe === undefined ? {} : { recipe: options.recipe };
  const size = options.augment === true ? {} : { inputSize: 'full' };
  const config = resolveConfig({ model, ...recipe, ...size });
  return trainingPreprocessing(createClassifier(config, dataset), config);
}
