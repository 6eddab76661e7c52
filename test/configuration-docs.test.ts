/** docs/configuration.md names every key, and says of the recipes what they say. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { resolveConfig } from '../src/train/config.ts';
import { configKeys } from '../src/train/config-schema.ts';
import { recipes } from '../src/train/recipes/registry.ts';

const page = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8');

test.each(configKeys)('%s is explained', (key) => {
  expect(page).toMatch(new RegExp(`^\\| \`${key}\` +\\| \\S`, 'm'));
});

test('the table of recipes has their values', () => {
  const rows = [...page.matchAll(/^\| `(\S+)`(?: \([^)]*\))? +\|(.*)\|$/gm)].map((row) => [
    row[1]!,
    row[2]!.split('|').map((cell) => cell.trim()),
  ]);
  const table = rows.slice(
    0,
    rows.findIndex(([key]) => key === 'model'),
  ) as [string, string[]][];
  expect(table.length).toBeGreaterThan(20);
  recipes.forEach(({ name }, column) => {
    const config = resolveConfig({ model: name.startsWith('airbench') ? 'air94' : 'nin2', recipe: name });
    for (const [key, cells] of table) expect(`${name} ${key} ${cells[column]}`).toBe(`${name} ${key} ${valueOf(config, key)}`);
  });
  expect(table[0]![1]).toHaveLength(recipes.length);
});

/** As the table shows it: a group by its type or rule, `-` where there is none. */
function valueOf(config: object, key: string): string {
  if (key === 'weightDecay.value' && (config as { recipe: string }).recipe === '2017') return "the model's";
  const path = ['batchNorm', 'dropout'].includes(key) ? ['modelSettings', key] : key.split('.');
  const value = path.reduce<unknown>((group, name) => (group as Record<string, unknown> | undefined)?.[name], config);
  if (value === undefined) return '-';
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return typeof value === 'string' ? value : JSON.stringify(value);
  const { type, rule } = value as { readonly type?: string; readonly rule?: string };
  return type ?? rule ?? JSON.stringify(value);
}
