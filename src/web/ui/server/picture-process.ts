/**
 * The process that holds images of data sets and computes activations: the server answers meanwhile, a training beside it goes first, and the
 * memory is given back when it ends. One task at a time.
 */
import { setPriority } from 'node:os';
import { basename } from 'node:path';
import type { Dataset, SplitName } from '../../../data/dataset.ts';
import { splitOf } from '../../../data/image-set.ts';
import { loadNamedDataset } from '../../../data/registry.ts';
import { mapsOf } from '../../../report/pictures/activation-sheet.ts';
import { imageRaster, stacked } from '../../../report/pictures/rasters.ts';
import { encodePng } from '../../../runs/png.ts';
import { activationsOf } from '../../../train/activations.ts';
import type { Run } from '../../../runs/run-folder.ts';
import { recordedClassifier } from '../../../train/classifier-record.ts';
import { readSavedModel } from '../../../train/saved-model.ts';
import { cpuInfo } from '../../../util/cpu.ts';
import { AblateError, DataError } from '../../../util/errors.ts';
import { isDatasetFile } from '../../../util/file-names.ts';
import type { ShownActivations, ShownLayerTimes } from '../protocol.ts';

/** An image of a data set, and what is asked of it. */
export interface PictureTask {
  readonly dataset: string;
  readonly dataDir: string | undefined;
  readonly split: SplitName;
  /** Whether validation images were kept out of training. */
  readonly useVal: boolean;
  /** Of the images that are meant; undefined for any. */
  readonly fingerprint: string | undefined;
  readonly image: number;
  /** To compute what its layers make of the image; else the picture itself is wanted, as PNG in base64. */
  readonly checkpoint?: string;
}

/** A run whose layers are to be timed. */
export interface LayerTimesTask {
  readonly run: Run;
  readonly batchSize: number;
}

export type PictureAnswer =
  { readonly result: string | ShownActivations | ShownLayerTimes } | { readonly problem: string; readonly isDefect: boolean };

const niceness = 10;

let held: { readonly name: string; readonly dataset: Dataset } | undefined;

async function work(task: PictureTask): Promise<string | ShownActivations> {
  const { dataset: name, dataDir, fingerprint, image } = task;
  if (isDatasetFile(name)) throw new DataError(`the page runs no code: images of ${basename(name)} are not shown`);
  if (held?.name !== name) {
    // What is shown must come from this machine.
    held = { name, dataset: await loadNamedDataset(name, { download: false, ...(dataDir !== undefined && { dataDir }) }) };
  }
  const { dataset } = held;
  if (fingerprint !== undefined && fingerprint !== dataset.fingerprint) {
    throw new DataError('the data set has other images than the run was evaluated on');
  }
  const images = splitOf(dataset, task.split, task.useVal);
  if (image >= images.count) throw new DataError(`there are ${images.count} images, the first of them number 0`);
  if (task.checkpoint === undefined) return base64(encodePng(imageRaster(images, image, dataset.shape)));
  const { classifier, file, path } = readSavedModel(task.checkpoint, {});
  if (classifier === undefined) throw new DataError(`${path} does not say which network its weights are of`);
  const size = dataset.shape.reduce((product, extent) => product * extent, 1);
  const { layers, probabilities } = activationsOf(
    classifier,
    file,
    images.images.subarray(image * size, (image + 1) * size),
    path,
  );
  return {
    probabilities: classifier.classes.map((label, i) => ({ label, probability: probabilities[i]! })),
    layers: layers.flatMap(({ name: layer, kind, shape, values }) => {
      const [channels, height, width] = shape;
      if (shape.length !== 3 || height === 1 || width === 1) return [];
      const maps = mapsOf(values, [channels!, height!, width!]);
      const png = base64(encodePng(stacked(maps)));
      return [{ name: layer, kind, channels: channels!, shown: maps.length, height: height!, width: width!, png }];
    }),
  };
}

/** Threads and images of a step whose layers are timed: what a page asks for must not take the machine from a training. */
const timedThreads = 1;
const mostTimedImages = 64;
const repetitions = 7;

async function timesOf({ run, batchSize: asked }: LayerTimesTask): Promise<ShownLayerTimes> {
  const { openEngine } = await import('../../../engine/registry.ts');
  const { timeLayers } = await import('../../../train/benchmark.ts');
  const network = recordedClassifier(run)?.network;
  if (network === undefined) throw new DataError('the network of this run is not known');
  const batchSize = Math.min(asked, mostTimedImages);
  const engine = await openEngine({ threads: timedThreads });
  const layers = await timeLayers({ engine, network, batchSize, repetitions });
  return { batchSize, threads: timedThreads, processor: cpuInfo().model, layers };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

async function answer(task: PictureTask | LayerTimesTask): Promise<PictureAnswer> {
  try {
    return { result: await ('run' in task ? timesOf(task) : work(task)) };
  } catch (error) {
    if (error instanceof AblateError) return { problem: error.message, isDefect: false };
    return { problem: error instanceof Error ? (error.stack ?? error.message) : String(error), isDefect: true };
  }
}

setPriority(niceness);
process.on('disconnect', () => process.exit());
process.on('message', (task: PictureTask | LayerTimesTask) => {
  void answer(task).then((said) => process.send?.(said));
});
