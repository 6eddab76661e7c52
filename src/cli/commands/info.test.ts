import { expect, test } from 'vitest';
import { runInfo } from '../../../test/run-info.ts';
import { published } from '../../../test/tensorsandbox-figures.ts';

const cases = Object.entries(published).flatMap(([model, { parameters, megaOperations }]) =>
  ([24, 32] as const).map((input, i) => ({
    model,
    input,
    parameters: parameters[i]!,
    megaOperations: megaOperations === null ? null : megaOperations[i]!,
  })),
);

test('tensorsandbox has thirteen models', () => {
  expect(Object.keys(published)).toHaveLength(13);
});

test.each(cases)('info $model --input $input says what tensorsandbox published', async (figures) => {
  const { model, input, parameters, megaOperations } = figures;
  const described = await runInfo(model, '--input', String(input));
  expect(described).toMatchObject({ model, input, parameters, bytes: 4 * parameters });
  if (megaOperations !== null) expect((Number(described['operations']) / 1e6).toFixed(2)).toBe(megaOperations);
});
