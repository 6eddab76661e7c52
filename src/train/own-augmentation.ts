/** The augmentation of the user's own in a training: where its code is found, and what a run records of it. */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { fromFirst } from '../cluster/agreement.ts';
import type { Collective } from '../cluster/collective.ts';
import type { Batch, BatchLoader } from '../data/batch.ts';
import type { LoaderAugmentation } from '../data/loader.ts';
import { resolveSettings } from '../models/settings.ts';
import type { AugmentationDefinition } from '../user/augmentation.ts';
import { augmentationLibrary, loadAugmentation, type LoadedAugmentation } from '../user/augmentation-file.ts';
import { explainError, type UserFile } from '../user/load-file.ts';
import { isCodeFile } from '../util/file-names.ts';
import { recordedAugmentationFile, recordOfFile } from '../user/recorded-file.ts';
import { ConfigurationError } from '../util/errors.ts';
import type { TrainingConfig } from './config-schema.ts';
import type { TrainOptions } from './train-options.ts';

/** What a configuration says of it. */
/** What a configuration says of an augmentation. */
export type AugmentationKeys = Pick<TrainingConfig, 'augmentWith' | 'augmentWithSettings' | 'augmentationChecksum'>;

export interface OwnAugmentation {
  /** As errors call it. */
  readonly name: string;
  readonly keys: AugmentationKeys;
  readonly loader: LoaderAugmentation;
  /** For the records of a new run. */
  readonly records: Readonly<Record<string, unknown>>;
}

/**
 * Loads what a training's configuration names: of a run that is continued, what it was started with. Only process 0 needs to see the file.
 *
 * @throws ConfigurationError if it cannot be run, has other settings, or has changed since the configuration was recorded
 */
export async function ownAugmentationOf(options: TrainOptions, collective: Collective): Promise<OwnAugmentation | undefined> {
  const { config, augmentation } = options;
  if (augmentation !== undefined && !('file' in augmentation)) return ofProgram(augmentation, config);
  if (augmentation === undefined && config.augmentWith === 'none') return undefined;
  const loaded = collective.rank === 0 ? await loadFor(options) : undefined;
  const own = loaded && checked(keysOfFile(loaded, config), config);
  const { file } = loaded ?? {};
  const shared = JSON.parse(
    fromFirst(collective, () => {
      const { name, path, sourceMap, code } = file!;
      return JSON.stringify({ keys: own, file: { name, path, sourceMap, code } });
    }),
  ) as { readonly keys: AugmentationKeys; readonly file: Pick<UserFile, 'name' | 'path' | 'sourceMap' | 'code'> };
  const { keys } = shared;
  return {
    name: shared.file.name,
    keys,
    loader: {
      code: shared.file.code,
      settings: keys.augmentWithSettings,
      explain: (error) => explainError(error, shared.file),
    },
    records: recordOfFile('augmentation', file),
  };
}

/** What a configuration says of a file that has been loaded for it. Throws ConfigurationError for settings that it does not have. */
export function keysOfFile({ definition, file }: LoadedAugmentation, { augmentWithSettings }: TrainingConfig): AugmentationKeys {
  return {
    augmentWith: file.path,
    augmentWithSettings: resolveSettings(definition.name, definition.settings, augmentWithSettings, 'augmentation'),
    augmentationChecksum: file.sha256,
  };
}

/** What is named by a configuration: the file as it is recorded, so that it can be found from anywhere. */
async function loadFor({ config, augmentation, record }: TrainOptions): Promise<LoadedAugmentation> {
  const recorded =
    record !== undefined && 'resume' in record ? recordedAugmentationFile(record.resume, augmentationLibrary()) : undefined;
  if (recorded === undefined) {
    requireFile(config.augmentWith);
    return (augmentation as LoadedAugmentation | undefined) ?? (await loadAugmentation(config.augmentWith));
  }
  const loaded = await loadAugmentation(recorded);
  // Its copy stands for the file that is gone.
  const isCopy = resolve(recorded) !== config.augmentWith;
  return isCopy ? { ...loaded, file: { ...loaded.file, path: config.augmentWith, sha256: config.augmentationChecksum } } : loaded;
}

function requireFile(augmentWith: string): void {
  if (isCodeFile(augmentWith)) return;
  throw new ConfigurationError(
    `augmentWith (=${augmentWith}) must be none, or a file of code that ends in .ts, .js, .mts or .mjs`,
    {
      key: 'augmentWith',
      fix: 'ablate new augmentation augment.ts writes one to start from. One of a program is also given to train, as augmentation',
    },
  );
}

function ofProgram(definition: AugmentationDefinition, config: TrainingConfig): OwnAugmentation {
  const { name } = definition;
  const settings = resolveSettings(name, definition.settings, config.augmentWithSettings, 'augmentation');
  const text = JSON.stringify([name, String(definition.apply), definition.settings]);
  const augmentationChecksum = createHash('sha256').update(text).digest('hex');
  return {
    name,
    keys: checked({ augmentWith: name, augmentWithSettings: settings, augmentationChecksum }, config),
    loader: { apply: (image, random) => definition.apply(image, random, settings) },
    records: {},
  };
}

function checked(keys: AugmentationKeys, { augmentWith, augmentationChecksum: recorded }: TrainingConfig): AugmentationKeys {
  if (recorded === '' || recorded === keys.augmentationChecksum) return keys;
  throw new ConfigurationError(`${augmentWith} has changed since the training that is continued was started with it`, {
    key: 'augmentWith',
    fix: 'restore it, or start a new run',
  });
}

/** Seconds after which a batch is missed. */
const patienceSeconds = 10;

export interface PatientOptions {
  /** As errors call the augmentation. */
  readonly name: string;
  readonly signal: AbortSignal | undefined;
  onNotice?(notice: string): void;
}

/**
 * The next batch of a loader whose threads run code of the user's, which may never end: that is said once, and then an abort need not wait for it.
 *
 * @returns undefined if the wait was aborted
 */
export async function nextPatiently(loader: BatchLoader, { name, signal, onNotice }: PatientOptions): Promise<Batch | undefined> {
  let timer: NodeJS.Timeout | undefined;
  let abandon: (() => void) | undefined;
  const missed = new Promise<undefined>((gaveUp) => {
    timer = setTimeout(() => {
      onNotice?.(
        `still waiting for the next batch: the augmentation of ${name} has not ended for ${patienceSeconds} s; Ctrl-C stops`,
      );
      abandon = () => {
        gaveUp(undefined);
      };
      if (signal?.aborted === true) abandon();
      else signal?.addEventListener('abort', abandon);
    }, 1000 * patienceSeconds);
  });
  try {
    return await Promise.race([loader.next(), missed]);
  } finally {
    clearTimeout(timer);
    if (abandon !== undefined) signal?.removeEventListener('abort', abandon);
  }
}
