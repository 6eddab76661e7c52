/** Programs of the system that the set-up runs, in the user's terminal. */
import { spawn, spawnSync } from 'node:child_process';

/** Is told, line by line, what is done. */
export type Say = (line: string) => void;

/** Says a command, on stderr as all that a set-up says, and runs it there; whether it succeeded. */
export async function runCommand(
  command: readonly string[],
  say: Say,
  options: { readonly cwd?: string } = {},
): Promise<boolean> {
  say(command.join(' '));
  const [program, ...args] = command;
  const child = spawn(program!, args, { ...options, stdio: ['inherit', 2, 2], shell: needsShell });
  return await new Promise((resolve) => {
    child.once('error', () => resolve(false));
    child.once('close', (code) => resolve(code === 0));
  });
}

/** Windows has npm and the like as .cmd files, which only its shell starts. All words that it is given are ours. */
const needsShell = process.platform === 'win32';

export function hasCommand(name: string): boolean {
  return spawnSync(name, ['--version'], { stdio: 'ignore', shell: needsShell }).status === 0;
}

/** What gives a command administrator rights: nothing for root, sudo where it may be used, undefined where nothing does. */
export function administratorPrefix(): readonly string[] | undefined {
  if (process.getuid?.() === 0) return [];
  if (!hasCommand('sudo')) return undefined;
  if (process.stdin.isTTY) return ['sudo'];
  const withoutAsking = spawnSync('sudo', ['--non-interactive', 'true'], { stdio: 'ignore' }).status === 0;
  return withoutAsking ? ['sudo', '--non-interactive'] : undefined;
}
