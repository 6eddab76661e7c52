/** The augmentation of the user's own in a training: where its code is found, and what a run records of it. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fromFirst } from '../cluster/agreement.ts';
import type { Collective } from '../cluster/collective.ts';
import type { Batch, BatchLoader } from '../data/batch.ts';
import type { LoaderAugmentation } from '../data/loader.ts';
import { resolveSettings } from '../models/settings.ts';
import type { AugmentationDefinition } from '../user/augmentation.ts';
import { augmentationLibrary, loadAugmentation, type LoadedAugmentation } from '../user/augmentation-file.ts';
import { latestCheckpoint } from '../runs/checkpoint.ts';
import { allRuns, amendConfig, type Run } from '../runs/run-folder.ts';
import { checksumOfFile, explainError, type UserFile } from '../user/load-file.ts';
import { isCodeFile } from '../util/file-names.ts';
import {
  augmentationChecksumOf,
  augmentationFileOf,
  continuedWith,
  recordAugmentation,
  recordedAugmentation,
  recordOfFile,
  type AugmentationRecord,
} from '../user/recorded-file.ts';
import { ConfigurationError } from '../util/errors.ts';
import type { TrainingConfig } from './config-schema.ts';
import type { TrainOptions } from './train-options.ts';

/** What a configuration says of an augmentation. */
export type AugmentationKeys = Pick<TrainingConfig, 'augmentWith' | 'augmentWithSettings' | 'augmentationChecksum'>;

export interface OwnAugmentation {
  /** As errors call it. */
  readonly name: string;
  readonly keys: AugmentationKeys;
  readonly loader: LoaderAugmentation;
  /** For the records of a new run. */
  readonly records: Readonly<Record<string, unknown>>;
  /** Where a run goes on with other code than it has recorded: records that. Returns what the user should know. */
  readonly recordChange?: (run: Run) => string | undefined;
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
  const found = collective.rank === 0 ? await findFor(options) : undefined;
  const file = found?.loaded.file;
  const shared = JSON.parse(
    fromFirst(collective, () => {
      const { name, path, sourceMap, code } = file!;
      return JSON.stringify({ keys: found!.keys, file: { name, path, sourceMap, code } });
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
    ...(found?.recordChange && { recordChange: found.recordChange }),
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

interface Found {
  readonly loaded: LoadedAugmentation;
  readonly keys: AugmentationKeys;
  readonly recordChange?: OwnAugmentation['recordChange'];
}

/** What is named by a configuration: the file as it is recorded, so that it can be found from anywhere. */
async function findFor(options: TrainOptions): Promise<Found> {
  const { record } = options;
  const run = record !== undefined && 'resume' in record ? record.resume : undefined;
  const recorded = run && recordedAugmentation(run);
  return recorded === undefined ? await findForNew(options) : await findForContinued(run!, recorded, options);
}

/** Of a configuration that is an earlier training's: its file if that is as it was, else the copy of a run that was trained with the same. */
async function findForNew({ config, augmentation, record, initialWeights }: TrainOptions): Promise<Found> {
  requireFile(config.augmentWith);
  const found = (loaded: LoadedAugmentation): Found => ({ loaded, keys: checked(keysOfFile(loaded, config), config) });
  const { augmentWith, augmentationChecksum: wanted } = config;
  if (augmentation !== undefined) return found(augmentation as LoadedAugmentation);
  if (wanted === '') return found(await loadAugmentation(augmentWith));
  const isThere = existsSync(augmentWith);
  if (isThere && checksumOfFile(augmentWith, augmentationLibrary()) === wanted) return found(await loadAugmentation(augmentWith));
  const copy = findCopy(wanted, runsFoldersOf(record, initialWeights?.path));
  if (copy !== undefined) return found(standingFor(await loadAugmentation(copy), config));
  const what = isThere ? 'has changed since the network was trained with it' : 'is gone, which the network was trained with';
  throw new ConfigurationError(`${augmentWith} ${what}`, {
    key: 'augmentWith',
    fix: 'restore it, or go on without it: --set augmentWith=none',
  });
}

/** The folders of runs that a training has to do with. */
function runsFoldersOf(record: TrainOptions['record'], weights: string | undefined): string[] {
  const ofRun = (folder: string) => dirname(dirname(folder));
  return [
    ...(record === undefined ? [] : ['resume' in record ? ofRun(record.resume.path) : record.runsFolder]),
    // <runs>/<model>/<number>/checkpoints/<file>
    ...(weights === undefined ? [] : [ofRun(dirname(dirname(resolve(weights))))]),
  ];
}

/** The copy that a run keeps of the augmentation with a checksum. */
function findCopy(checksum: string, runsFolders: readonly string[]): string | undefined {
  for (const run of runsFolders.flatMap((folder) => allRuns(folder))) {
    const recorded = recordedAugmentation(run);
    if (recorded !== undefined && augmentationChecksumOf(recorded) === checksum) return join(run.path, recorded.copy);
  }
  return undefined;
}

/** A copy of the code as the file that it was. */
function standingFor(loaded: LoadedAugmentation, { augmentWith, augmentationChecksum }: TrainingConfig): LoadedAugmentation {
  return { ...loaded, file: { ...loaded.file, path: augmentWith, sha256: augmentationChecksum } };
}

/** Of a run that goes on: what it was started with or, where another file is given for that, what counts from here on. */
async function findForContinued(run: Run, recorded: AugmentationRecord, options: TrainOptions): Promise<Found> {
  const { config, augmentation, record } = options;
  const isAnother = (record as { readonly newAugmentation?: boolean }).newAugmentation === true;
  const code = isAnother ? config.augmentWith : augmentationFileOf(run, recorded, augmentationLibrary());
  const given = isAnother ? (augmentation as LoadedAugmentation | undefined) : undefined;
  const loaded = given ?? (await loadAugmentation(code));
  const step = latestCheckpoint(run)?.step ?? 0;
  const now = continuedWith(recorded, step, isAnother ? loaded.file : recorded);
  const keys = { ...keysOfFile(loaded, config), augmentWith: now.path, augmentationChecksum: augmentationChecksumOf(now) };
  if (JSON.stringify(now) === JSON.stringify(recorded)) return { loaded, keys };
  return {
    loaded,
    keys,
    recordChange(changed) {
      recordAugmentation(changed, now, loaded.file.code);
      amendConfig(changed, keys);
      const { copy } = now.before.at(-1) ?? {};
      return copy && `${loaded.file.name} augments from step ${step} on; the code before is kept in ${join(changed.path, copy)}`;
    },
  };
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
