/** All recipes by name. To add one: its file, and a line here. */
import { ConfigurationError } from '../../util/errors.ts';
import { didYouMean } from '../../util/suggest.ts';
import { airbenchMuon } from './airbench-muon.ts';
import { airbench } from './airbench.ts';
import { modern } from './modern.ts';
import type { Recipe } from './recipe.ts';
import { recipe2017 } from './2017.ts';

export const recipes: readonly Recipe[] = [recipe2017, modern, airbench, airbenchMuon];

/** The recipe of a run that names none. */
export const defaultRecipe = recipe2017.name;

/** Throws ConfigurationError for an unknown name. */
export function recipeByName(name: string): Recipe {
  const recipe = recipes.find((candidate) => candidate.name === name);
  if (recipe === undefined) {
    const names = recipes.map((candidate) => candidate.name);
    throw new ConfigurationError(`there is no recipe "${name}".${didYouMean(name, names)}`, {
      key: 'recipe',
      fix: `The recipes are: ${names.join(', ')}`,
    });
  }
  return recipe;
}
