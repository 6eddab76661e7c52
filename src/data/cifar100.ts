/**
 * CIFAR-100 (Krizhevsky, 2009) in its binary version: 100 classes ("fine"), in 20 groups ("coarse"). The published checksum is that of the archive, which a
 * download is compared with; files that are there are checked for their size and labels.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar';
import { environmentVariable } from '../util/env.ts';
import { DataError, messageOf } from '../util/errors.ts';
import { makeFolder } from '../util/make-folder.ts';
import { readRegularFile } from '../util/regular-file.ts';
import { userCacheFolder } from './cache.ts';
import type { Dataset, ImageSet } from './dataset.ts';
import { allocateImages, fingerprintOf } from './image-set.ts';
import type { IdxOptions } from './mnist.ts';

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
const timeoutMs = 900_000;

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
  options: IdxOptions = {},
  published = publishedCifar100,
): Promise<Dataset> {
  const folder = locate(options) ?? (await download(options, published));
  const classes = cifar100Classes[labels];
  const train = readRecords(join(folder, 'train.bin'), published.counts.train, labels);
  const test = readRecords(join(folder, 'test.bin'), published.counts.test, labels);
  const fingerprint = fingerprintOf(classes, train, test, [shape]);
  return { name: 'cifar100', classes, shape, synthetic: false, fingerprint, train, test };
}

function locate({ dataDir, cacheDir = userCacheFolder() }: IdxOptions): string | undefined {
  const holds = (folder: string) => ['train.bin', 'test.bin'].every((file) => existsSync(join(folder, file)));
  const within = (base: string) => [base, join(base, folderName)].find(holds);
  if (dataDir !== undefined) {
    const found = within(dataDir);
    if (found !== undefined) return found;
    throw new DataError(`--data-dir (=${dataDir}) does not hold train.bin and test.bin of CIFAR-100's binary version`, {
      fix: `unpack ${basename(publishedCifar100.url)} there, or leave it out to download them`,
    });
  }
  const fromEnvironment = environmentVariable('ABLATE_DATA_DIR');
  return (fromEnvironment === undefined ? undefined : within(fromEnvironment)) ?? within(cacheDir);
}

function readRecords(path: string, count: number, labels: Cifar100Labels): ImageSet {
  const bytes = readRegularFile(path, 200_000_000);
  const fix = 'replace the file, or remove it and let it be downloaded again';
  if (bytes.length !== count * recordBytes) {
    throw new DataError(`${path} has ${bytes.length} bytes, and must have ${count * recordBytes}`, { fix });
  }
  const set = allocateImages(count, shape);
  for (let record = 0; record < count; record++) {
    const start = record * recordBytes;
    const label = bytes[start + (labels === 'coarse' ? 0 : 1)]!;
    if (label >= cifar100Classes[labels].length) {
      throw new DataError(`${path} is corrupt: the ${labels} label of record ${record} is ${label}`, { fix });
    }
    set.labels[record] = label;
    set.images.set(bytes.subarray(start + 2, start + recordBytes), record * imageBytes);
  }
  return set;
}

/** The files appear in the cache together, or not at all. */
async function download(options: IdxOptions, { url, md5 }: typeof publishedCifar100): Promise<string> {
  const { dataUrl, cacheDir = userCacheFolder() } = options;
  if (options.download === false) {
    throw new DataError('CIFAR-100 is not on this machine', { fix: 'ablate data show cifar100 downloads it' });
  }
  makeFolder(cacheDir);
  const failures: string[] = [];
  for (const address of dataUrl === undefined ? [url] : [url, dataUrl]) {
    const temporary = await mkdtemp(join(cacheDir, `.${folderName}-`));
    try {
      const archive = await fetchArchive(address, md5);
      options.onProgress?.({ activity: 'downloading CIFAR-100', done: archive.length, total: archive.length, unit: 'bytes' });
      await pipeline(Readable.from([archive]), extract({ cwd: temporary, strip: 1, strict: true }));
      const folder = join(cacheDir, folderName);
      await rm(folder, { recursive: true, force: true });
      await rename(temporary, folder);
      return folder;
    } catch (error) {
      failures.push(`  ${address}: ${messageOf(error)}`);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  }
  throw new DataError(`CIFAR-100 cannot be downloaded:\n${failures.join('\n')}`, {
    fix: `unpack ${basename(url)} yourself and give its folder with --data-dir, or give a mirror with --data-url`,
  });
}

async function fetchArchive(url: string, md5: string): Promise<Uint8Array> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`);
  if (Number(response.headers.get('content-length') ?? 0) > 250_000_000) throw new Error('the archive is too large');
  const archive = new Uint8Array(await response.arrayBuffer());
  const found = createHash('md5').update(archive).digest('hex');
  if (found !== md5) throw new Error(`what the server sent has the MD5 ${found}, the published one is ${md5}`);
  return archive;
}
