/** What was chosen for a run, in short: its recipe, its seed, and what is not as the recipe has it. */
import { shapeByName } from '../data/registry.ts';
import { readConfig, type Run } from '../runs/run-folder.ts';
import type { ImageShape } from '../train/classifier.ts';
import { modelNames } from '../models/registry.ts';
import { quoted } from '../util/shell.ts';
import { resolveWith } from '../train/config.ts';
import { modelOfConfig } from '../train/complete-config.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import { valueOfText } from '../train/key-layers.ts';
import { AblateError } from '../util/errors.ts';
import { inputSizeFor } from '../util/image-size.ts';
import { changedKeys } from './gather.ts';
import { shownDataset } from './shown-dataset.ts';

export interface RunChoices {
  readonly recipe: string;
  readonly seed: number;
  /** As reports name it. */
  readonly dataset: string;
  /** `{ "augment": "false" }`: dotted keys; of what a key like `schedule` brings with it, only what has a value here. */
  readonly changes: Readonly<Record<string, string>>;
}

/** Told by others of the choices, or by the list itself. */
const implied: ReadonlySet<string> = new Set(['steps', 'epochs', 'initChecksum', 'teacherChecksum', 'augmentationChecksum']);

/** Tells the choices of many runs: what a recipe says is resolved once, as that takes longer than reading a configuration. */
export function createChooser(): (config: TrainingConfig) => RunChoices {
  const recipes = new Map<string, TrainingConfig>();
  const shapes = new Map<string, ImageShape | undefined>();
  const shapeOf = (dataset: string) => {
    if (!shapes.has(dataset)) shapes.set(dataset, shapeByName(dataset));
    return shapes.get(dataset);
  };
  const ofRecipe = (config: TrainingConfig): TrainingConfig => {
    const { model, recipe, dataset, steps, weightDecay } = config;
    const isOwn = !modelNames().includes(model);
    const key = JSON.stringify([model, recipe, dataset, steps, isOwn && weightDecay]);
    const found = recipes.get(key) ?? resolveWith(() => modelOfConfig(config), { model, recipe, dataset, steps });
    recipes.set(key, found);
    // A run does not record what is usual in a model of the user's own: all its settings are told.
    return isOwn ? { ...found, modelSettings: {} } : found;
  };
  return (config) => {
    const recipe = ofRecipe(config);
    // A run records the size of the images that it found.
    const reference = { ...recipe, inputSize: sizeByRule(recipe, config, shapeOf) };
    const changed = Object.entries(changedKeys(config, reference));
    const changes = Object.fromEntries(changed.filter(([key, value]) => value !== '-' && !implied.has(key)));
    return { recipe: config.recipe, seed: config.seed, dataset: shownDataset(config.dataset), changes };
  };
}

/** What the recipe's rule gives for the images of a run; where their size is not known, what the run has. */
function sizeByRule(
  { inputSize: rule }: TrainingConfig,
  { inputSize, dataset }: TrainingConfig,
  shapeOf: (dataset: string) => ImageShape | undefined,
): TrainingConfig['inputSize'] {
  // A configuration that has not seen its images has the rule itself.
  if (typeof inputSize === 'string') return rule;
  if (rule === 'full') return inputSize;
  const shape = shapeOf(dataset);
  return shape === undefined ? inputSize : inputSizeFor(rule, [shape[1], shape[2]]);
}

/** In the order of the runs; undefined for a run whose configuration is damaged or of a recipe that there is no more. */
export function choicesOfRuns(runs: readonly Run[]): (RunChoices | undefined)[] {
  const choicesOf = createChooser();
  return runs.map((run) => {
    try {
      return choicesOf(readConfig(run) as TrainingConfig);
    } catch (error) {
      if (error instanceof AblateError) return undefined;
      throw error;
    }
  });
}

/** `2017, seed 2, augment false, inputSize 32` */
export function describeChoices({ recipe, seed, changes }: RunChoices): string {
  return [recipe, `seed ${seed}`, ...Object.entries(changes).map(([key, value]) => `${key} ${value}`)].join(', ');
}

/**
 * The command that trains with the same configuration: with the same seed, and the same images in the same order.
 *
 * @param file of a model of the user's own
 * @throws AblateError for a configuration that this version cannot make
 */
export function trainingCommand(config: TrainingConfig, { recipe, seed, changes }: RunChoices, file?: string): string {
  const { model, dataset, steps } = config;
  const set = Object.fromEntries(Object.entries(changes).map(([key, value]) => [key, valueOfText(value)]));
  // A change may bring others with it, which the run does not have: without augmentation, for one, images are taken whole.
  const brought = changedKeys(
    config,
    resolveWith(() => modelOfConfig(config), { model, dataset, recipe, steps, seed, ...set }),
  );
  const undone = Object.entries(brought).filter(([key, value]) => value !== '-' && !implied.has(key));
  const options = Object.entries({ data: dataset, recipe, steps, seed }).map(
    ([key, value]) => `--${key} ${quoted(String(value))}`,
  );
  const changed = Object.entries({ ...changes, ...Object.fromEntries(undone) }).map(
    ([key, value]) => `--set ${quoted(`${key}=${value}`)}`,
  );
  return ['npx ablate train', quoted(file ?? model), ...options, ...changed].join(' ');
}
