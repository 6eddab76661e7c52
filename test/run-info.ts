import { Command } from 'commander';
import { vi } from 'vitest';
import { addInfoCommand } from '../src/cli/commands/info.ts';

/** What `ablate info` prints as JSON, in this process: for the dozens of models and sizes of a table, processes would take a minute. */
export async function runInfo(...args: readonly string[]): Promise<Record<string, unknown>> {
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
