/**
 * CIFAR-100 (Krizhevsky, 2009) in its binary version: 100 classes ("fine"), in 20 groups ("coarse"). The published checksum is that of the archive, which a
 * download is compared with; files that are there are checked for their size and labels.
 */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DataError } from '../util/errors.ts';
import { readRegularFile } from '../util/regular-file.ts';
import { userCacheFolder } from '../util/user-cache.ts';
import type { Dataset, ImageSet } from './dataset.ts';
import { downloadArchive, type Archive } from './download.ts';
import { allocateImages, fingerprintOf } from './new-image-set.ts';
import { findWithin, folderOf, type FileVerification, type PublishedDataset, type SourceOptions } from './published.ts';

export type Cifar100Labels = 'fine' | 'coarse';

const names = (text: string): readonly string[] => text.trim().split(/\s+/);

/** In the order of the labels. */
export const cifar100Classes: Readonly<Record<Cifar100Labels, readonly string[]>> = {
  fine: names(`apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle caterpillar cattle chair
    chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
    lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
    plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
    sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm`),
  coarse:
    names(`aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture insects large_carnivores
    large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles
    small_mammals trees vehicles_1 vehicles_2`),
};

const folderName = 'cifar-100-binary';
const shape = [3, 32, 32] as const;
const imageBytes = 3 * 32 * 32;
/** The coarse label, the fine one, then the image. */
const recordBytes = 2 + imageBytes;

const largestFileBytes = 200_000_000;

/** What is published. */
export const publishedCifar100 = {
  counts: { train: 50_000, test: 10_000 },
  url: 'https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz',
  md5: '03b5dce01913d631647c71ecec9e9cb8',
};

/**
 * Reads CIFAR-100 from `dataDir`, from `$ABLATE_DATA_DIR` if it is there, or from the cache; downloads it into the cache if it is nowhere.
 *
 * @throws DataError that names the file that is missing, truncated or corrupt, or says why the download failed
 */
export async function loadCifar100(
  labels: Cifar100Labels,
  options: SourceOptions = {},
  published = publishedCifar100,
): Promise<Dataset> {
  const folder = await folderOf(publishedCifar100Files(published), options);
  const classes = cifar100Classes[labels];
  const train = readRecords(folder, 'train', published, labels);
  const test = readRecords(folder, 'test', published, labels);
  const fingerprint = fingerprintOf(classes, train, test, [shape]);
  return { name: 'cifar100', classes, shape, synthetic: false, fingerprint, train, test };
}

type PublishedFiles = typeof publishedCifar100;
const splits = ['train', 'test'] as const;
type Split = (typeof splits)[number];

/** CIFAR-100 as a data set whose files are published. */
export function publishedCifar100Files(published = publishedCifar100): PublishedDataset {
  const title = 'CIFAR-100';
  const within = (base: string) =>
    [base, join(base, folderName)].find((folder) => splits.every((split) => existsSync(join(folder, `${split}.bin`))));
  const verify = (folder: string) => splits.map((split) => verifyRecords(folder, split, published));
  const archive: Archive = {
    ...{ title, url: published.url, md5: published.md5, folderName, files: splits.map((split) => `${split}.bin`) },
    problemIn(folder) {
      const wrong = verify(folder).find(({ problem }) => problem !== undefined);
      return wrong && `${wrong.name} in the archive ${wrong.problem!}`;
    },
  };
  return {
    name: 'cifar100',
    title,
    within,
    find: (options = {}) =>
      findWithin(within, options, {
        files: "train.bin and test.bin of CIFAR-100's binary version",
        fix: `unpack ${basename(published.url)} there, or leave it out to download them`,
      }),
    verify,
    async download({ dataUrl, cacheDir = userCacheFolder(), onProgress }) {
      const urls = dataUrl === undefined ? [published.url] : [published.url, dataUrl];
      return await downloadArchive(archive, { cacheDir, urls, onProgress });
    },
  };
}

/** Checksums are not published of the files, but of the archive. */
function verifyRecords(folder: string, split: Split, published: PublishedFiles): FileVerification {
  const name = `${split}.bin`;
  const path = join(folder, name);
  if (!existsSync(path)) return { name, checksum: undefined, problem: 'is missing' };
  return { name, checksum: undefined, problem: problemWith(readRegularFile(path, largestFileBytes), published.counts[split]) };
}

function problemWith(bytes: Uint8Array, count: number): string | undefined {
  if (bytes.length !== count * recordBytes) return `has ${bytes.length} bytes, and must have ${count * recordBytes}`;
  for (let record = 0; record < count; record++) {
    for (const [place, labels] of (['coarse', 'fine'] as const).entries()) {
      const label = bytes[record * recordBytes + place]!;
      if (label >= cifar100Classes[labels].length) return `is corrupt: the ${labels} label of record ${record} is ${label}`;
    }
  }
  return undefined;
}

function readRecords(folder: string, split: Split, published: PublishedFiles, labels: Cifar100Labels): ImageSet {
  const path = join(folder, `${split}.bin`);
  const bytes = readRegularFile(path, largestFileBytes);
  const count = published.counts[split];
  const problem = problemWith(bytes, count);
  if (problem !== undefined) {
    throw new DataError(`${path} ${problem}`, { fix: 'replace the file, or remove it and let it be downloaded again' });
  }
  const set = allocateImages(count, shape);
  for (let record = 0; record < count; record++) {
    const start = record * recordBytes;
    set.labels[record] = bytes[start + (labels === 'coarse' ? 0 : 1)]!;
    set.images.set(bytes.subarray(start + 2, start + recordBytes), record * imageBytes);
  }
  return set;
}
