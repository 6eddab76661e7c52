/** The models of a study that was run, from what its runs have recorded: no code of the user's is run, and its files may be gone. */
import { join } from 'node:path';
import type { InputSize } from '../models/model.ts';
import { modelNames } from '../models/registry.ts';
import type { ResolvedSettings } from '../models/settings.ts';
import type { Network } from '../nn/network.ts';
import { sameShape } from '../nn/shape.ts';
import { openRun, readConfig } from '../runs/run-folder.ts';
import { recordedClassifier } from '../train/classifier.ts';
import { checkConfig, fullKey, modelOfConfig, settingOf } from '../train/config.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import { isCodeFile } from '../util/file-names.ts';
import { recordedModelFile } from '../user/recorded-file.ts';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import { showValue } from '../util/show-value.ts';
import { designOf } from './design.ts';
import { parseStudyFile } from './study-file.ts';
import { labModels, type StudyModels } from './study-models.ts';
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
  return (name) => {
    if (modelNames().includes(name)) return labModels(name);
    recorded ??= recordedRuns(state, runsFolder);
    const own = recorded.filter(({ config, file }) =>
      isCodeFile(name) ? file?.endsWith(join('/', name)) : config.model === name,
    );
    const [first] = own;
    if (first === undefined) throw notRecorded(name);
    const build = (settings: ResolvedSettings, { channels, height, width }: InputSize): Network => {
      const isSame = ({ config, network }: Recorded) =>
        sameShape(network.inputShape, [channels, height, width]) &&
        Object.entries(config.modelSettings).every(([key, value]) => settings[key] === value);
      const same = own.find(isSame);
      if (same === undefined) throw notRecorded(`${name} with ${showValue(settings)}`);
      return same.network;
    };
    const settings = Object.keys(first.config.modelSettings).map((key) => {
      // Its default is what runs have whose variants do not set it.
      const usual = own.find(({ set }) => !set.has(`modelSettings.${key}`)) ?? first;
      return [
        key,
        settingOf(...([usual, ...own].map(({ config }) => config.modelSettings[key]!) as [Value, ...Value[]])),
      ] as const;
    });
    return { definition: { ...modelOfConfig(first.config), settings: Object.fromEntries(settings), build }, file: undefined };
  };
}

type Value = ResolvedSettings[string];

function notRecorded(what: string): ConfigurationError {
  return new ConfigurationError(`no run of the study has recorded the network of ${what}`, {
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
