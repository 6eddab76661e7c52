import { Command } from 'commander';
import { expect, test, vi } from 'vitest';
import { published } from '../../../test/study-figures.ts';
import { addInfoCommand } from './info.ts';

/** What `ablate info` prints as JSON, in this process: twenty-six processes would take a minute. */
async function info(...args: readonly string[]): Promise<Record<string, unknown>> {
  const program = new Command();
  addInfoCommand(program);
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    await program.parseAsync(['info', ...args, '--json'], { from: 'user' });
    return JSON.parse(write.mock.calls.map(([text]) => text).join('')) as Record<string, unknown>;
  } finally {
    write.mockRestore();
  }
}

const cases = Object.entries(published).flatMap(([model, { parameters, megaOperations }]) =>
  ([24, 32] as const).map((input, i) => ({
    model,
    input,
    parameters: parameters[i]!,
    megaOperations: megaOperations === null ? null : megaOperations[i]!,
  })),
);

test('the study has thirteen models', () => {
  expect(Object.keys(published)).toHaveLength(13);
});

test.each(cases)('info $model --input $input says what the study published', async (figures) => {
  const { model, input, parameters, megaOperations } = figures;
  const described = await info(model, '--input', String(input));
  expect(described).toMatchObject({ model, input, parameters, bytes: 4 * parameters });
  if (megaOperations !== null) expect((Number(described['operations']) / 1e6).toFixed(2)).toBe(megaOperations);
});
