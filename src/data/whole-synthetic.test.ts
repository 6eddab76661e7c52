/** The generated images in their full number, which takes seconds: what they are is tested in synthetic.test.ts. */
import { expect, test } from 'vitest';
import { loadNamedDataset } from './registry.ts';

test('are loaded by name', async () => {
  const dataset = await loadNamedDataset('synthetic');
  expect(dataset).toMatchObject({ name: 'synthetic', train: { count: 10_000 }, test: { count: 2000 } });
});
