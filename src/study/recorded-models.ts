/** The models and augmentations of a study that was run, from what its runs have recorded: no code of the user's is run, and its files may be gone. */
import { join } from 'node:path';
import type { InputSize } from '../models/model.ts';
import { modelNames } from '../models/registry.ts';
import { resolveSettings, type ResolvedSettings, type Settings } from '../models/settings.ts';
import type { Network } from '../nn/network.ts';
import { sameShape } from '../nn/shape.ts';
import { openRun, readConfig } from '../runs/run-folder.ts';
import { recordedClassifier } from '../train/classifier-record.ts';
import { checkConfig, fullKey, modelOfConfig, settingOf } from '../train/complete-config.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import { isCodeFile } from '../util/file-names.ts';
import type { AugmentationKeys } from '../train/own-augmentation.ts';
import type { LoadedModel } from '../user/model-file.ts';
import { recordedModelFile } from '../user/recorded-file.ts';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import { showValue } from '../util/show-value.ts';
import { designOf } from './design.ts';
import { parseStudyFile } from './study-file.ts';
import { labModels, type StudyAugmentation, type StudyModels, type WeightsKeys } from './study-models.ts';
import type { StudyState } from './study-state.ts';

interface Recorded {
  readonly config: TrainingConfig;
  readonly network: Network;
  /** Where the file of its model was. */
  readonly file: string | undefined;
  /** The keys that its variant sets, by their full names. */
  readonly set: ReadonlySet<string>;
}

/** @throws ConfigurationError, where a model is asked for or built, if no run has recorded it */
export function recordedModels(state: StudyState, runsFolder: string): StudyModels {
  let recorded: readonly Recorded[] | undefined;
  const runs = () => (recorded ??= recordedRuns(state, runsFolder));
  const find = (name: string): LoadedModel => {
    if (modelNames().includes(name)) return labModels(name);
    const own = runs().filter(({ config, file }) => (isCodeFile(name) ? file?.endsWith(join('/', name)) : config.model === name));
    const [first] = own;
    if (first === undefined) throw notRecorded(`the network of ${name}`);
    const build = (settings: ResolvedSettings, { channels, height, width }: InputSize): Network => {
      const isSame = ({ config, network }: Recorded) =>
        sameShape(network.inputShape, [channels, height, width]) &&
        Object.entries(config.modelSettings).every(([key, value]) => settings[key] === value);
      const same = own.find(isSame);
      if (same === undefined) throw notRecorded(`the network of ${name} with ${showValue(settings)}`);
      return same.network;
    };
    return {
      definition: { ...modelOfConfig(first.config), settings: settingsOf('modelSettings', first, own), build },
      file: undefined,
    };
  };
  const augmentation = (name: string): StudyAugmentation | undefined => {
    const own = runs().filter(({ config: { augmentWith } }) => augmentWith.endsWith(join('/', name)));
    const [first] = own;
    if (first === undefined) return undefined;
    const { augmentWith, augmentationChecksum } = first.config;
    const settings = settingsOf('augmentWithSettings', first, own);
    const keys = ({ augmentWithSettings }: TrainingConfig): AugmentationKeys => ({
      ...{ augmentWith, augmentationChecksum },
      augmentWithSettings: resolveSettings(name, settings, augmentWithSettings, 'augmentation'),
    });
    return { keys, records: {} };
  };
  const weights = ({ init, teacher }: TrainingConfig): WeightsKeys => {
    const isNamed = (recorded: string, name: string) => recorded === name || recorded.endsWith(join('/', name));
    const same = runs().find(({ config }) => isNamed(config.init, init) && isNamed(config.teacher, teacher));
    if (same === undefined) throw notRecorded(`the weights of init=${init}, teacher=${teacher}`);
    const { config } = same;
    return {
      ...{ init: config.init, initChecksum: config.initChecksum },
      ...{ teacher: config.teacher, teacherChecksum: config.teacherChecksum },
    };
  };
  return Object.assign(find, { augmentation, weights });
}

/** The settings of what runs of the user's code recorded: the default of each is what runs have whose variants do not set it. */
function settingsOf(group: 'modelSettings' | 'augmentWithSettings', first: Recorded, runs: readonly Recorded[]): Settings {
  const settings = Object.keys(first.config[group]).map((key) => {
    const usual = runs.find(({ set }) => !set.has(`${group}.${key}`)) ?? first;
    return [key, settingOf(...([usual, ...runs].map(({ config }) => config[group][key]!) as [Value, ...Value[]]))] as const;
  });
  return Object.fromEntries(settings);
}

type Value = ResolvedSettings[string];

function notRecorded(what: string): ConfigurationError {
  return new ConfigurationError(`no run of the study has recorded ${what}`, {
    fix: 'run the study again: it trains what is missing',
  });
}

/** Those that can be read. */
function recordedRuns({ file: { path, text }, runs }: StudyState, runsFolder: string): Recorded[] {
  const { variants } = designOf(parseStudyFile(text, path));
  return runs.flatMap(({ run: name, variant }) => {
    if (name === undefined) return [];
    const { changes = [] } = variants.find((each) => each.name === variant) ?? {};
    const set = new Set(changes.flatMap(({ overrides }) => Object.keys(overrides).map(fullKey)));
    try {
      const run = openRun(join(runsFolder, name));
      const classifier = recordedClassifier(run);
      const config = checkConfig(readConfig(run));
      return classifier === undefined ? [] : [{ config, network: classifier.network, file: recordedModelFile(run), set }];
    } catch (error) {
      if (error instanceof AblateError) return [];
      throw error;
    }
  });
}
