/** Parsing command lines of ablate without running them. */
import type { Command } from 'commander';
import { buildProgram, loadCommands } from '../src/cli/program.ts';

const commands = await loadCommands();

/** The program with all of its commands. */
export function wholeProgram(): Command {
  return buildProgram(commands);
}

/**
 * The command that a command line names, with its options parsed.
 *
 * @param args without `node` and the script's name
 * @throws CommanderError as the program would report it
 */
export function parsed(args: readonly string[]): Command {
  const program = wholeProgram();
  let found: Command | undefined;
  for (const command of leavesOf(program)) {
    command.action(() => {
      found = command;
    });
  }
  program.parse(args, { from: 'user' });
  if (found === undefined) throw new Error(`no command was run: ${args.join(' ')}`);
  return found;
}

function leavesOf(command: Command): readonly Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);
}
