import type { RecipeSettings } from '../config-schema.ts';

/** A named set of configuration values: a way to train, for any model. */
export interface Recipe {
  readonly name: string;
  /** One line, for lists. */
  readonly summary: string;
  /** Its `modelSettings` hold for the models that have them. */
  readonly settings: RecipeSettings;
}
