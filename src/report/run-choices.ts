/** What was chosen for a run, in short: its recipe, its seed, and what is not as the recipe has it. */
import { readConfig, type Run } from '../runs/run-folder.ts';
import { resolveConfig } from '../train/config.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import { AblateError } from '../util/errors.ts';
import { changedKeys } from './gather.ts';

export interface RunChoices {
  readonly recipe: string;
  readonly seed: number;
  /** `{ "augment": "false" }`: dotted keys; of what a key like `schedule` brings with it, only what has a value here. */
  readonly changes: Readonly<Record<string, string>>;
}

/** Told by others of the choices, or by the list itself. */
const implied: ReadonlySet<string> = new Set(['steps', 'teacherChecksum']);

/** In the order of the runs; undefined for a run whose configuration is damaged or of a recipe that there is no more. */
export function choicesOfRuns(runs: readonly Run[]): (RunChoices | undefined)[] {
  // What recipes say, by what is asked: resolving a configuration takes longer than reading one, and lists are long.
  const recipes = new Map<string, TrainingConfig>();
  const ofRecipe = ({ model, recipe, dataset, steps }: TrainingConfig): TrainingConfig => {
    const key = JSON.stringify([model, recipe, dataset, steps]);
    const found = recipes.get(key) ?? resolveConfig({ model, recipe, dataset, steps });
    recipes.set(key, found);
    return found;
  };
  return runs.map((run) => {
    try {
      const config = readConfig(run) as TrainingConfig;
      const recipe = ofRecipe(config);
      // A run records the size of the images that it found.
      const reference = recipe.inputSize === 'full' ? { ...recipe, inputSize: config.inputSize } : recipe;
      const changed = Object.entries(changedKeys(config, reference));
      const changes = Object.fromEntries(changed.filter(([key, value]) => value !== '-' && !implied.has(key)));
      return { recipe: config.recipe, seed: config.seed, changes };
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
