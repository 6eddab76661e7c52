/** What computes: the option that chooses the engine, and the engine that it chooses, which ends with the command. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Engine } from '../engine/engine.ts';
import { engineChoices, openEngine, requireEngineChoice, type EngineChoice } from '../engine/registry.ts';
import { readEnvironment, type Run } from '../runs/run-folder.ts';
import { DataError } from '../util/errors.ts';
import { note } from './output.ts';

/** The same for every command that computes with an engine. */
export const engineOption = [
  '--engine <name>',
  `what computes: ${engineChoices.join(', ')} (default: auto: oneDNN where it is fast, else a graphics card)`,
  requireEngineChoice,
] as const;

export interface EngineOption {
  readonly engine?: EngineChoice | undefined;
}

/** What the command line that runs has opened. */
const opened = new AsyncLocalStorage<Engine[]>();

/** Runs a command line, and gives back the engines that it opened: a device that is held keeps a process from ending. */
export async function withEngines<T>(work: () => Promise<T>): Promise<T> {
  const engines: Engine[] = [];
  try {
    return await opened.run(engines, work);
  } finally {
    for (const engine of engines) engine.dispose();
  }
}

/**
 * Opens the engine that was asked for. A choice that the user may want to know of is told: one that is not fast here, with what would be.
 *
 * @throws what `openEngine` throws
 */
export async function openChosen({ engine }: EngineOption, threads?: number): Promise<Engine> {
  const chosen = await openEngine({
    engine,
    threads,
    onChoice({ name, reason, advice, isFast }) {
      if (isFast) return;
      note(`engine ${name}: ${reason}${advice === undefined ? '' : `. Faster: ${advice}`}`);
    },
  });
  opened.getStore()?.push(chosen);
  return chosen;
}

/**
 * The engine that continues a run: the one that it was started with, whose sums are rounded in the same way, unless another is asked for. What
 * was never started, or says nothing of it that can be read, is continued as a new one.
 */
export function engineToResume(run: Run, { engine }: EngineOption): EngineChoice | undefined {
  if (engine !== undefined) return engine;
  try {
    const { engine: recorded } = readEnvironment(run);
    return recorded === undefined ? undefined : requireEngineChoice(recorded);
  } catch (error) {
    if (error instanceof DataError) return undefined;
    throw error;
  }
}
