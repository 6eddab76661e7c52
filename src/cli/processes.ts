/** Commands that several processes run together, when mpirun, mpiexec or srun starts them. */
import { singleProcess, type Collective } from '../cluster/collective.ts';
import { detectLaunch } from '../cluster/launch.ts';
import { delay } from '../util/delay.ts';
import { AblateError } from '../util/errors.ts';
import { Interruption, reportError } from './errors.ts';

/** This process among those that were started with it. */
export interface Processes {
  readonly collective: Collective;
  /** What they work together by, for the record: `{ mpi: 'Open MPI v4.1.4' }`. */
  readonly libraries: Readonly<Record<string, string>>;
}

/**
 * Runs `work` together with the processes that were launched with this one; alone if none were. An error of one process ends all of
 * them, with its message and its exit code.
 */
export async function together(work: (processes: Processes) => Promise<void>): Promise<void> {
  const launch = detectLaunch();
  if (launch === undefined) {
    // A process alone never loads MPI.
    await work({ collective: singleProcess, libraries: {} });
    return;
  }
  const { joinProcesses } = await import('../cluster/mpi/collective.ts');
  const collective = joinProcesses(launch);
  try {
    await work({ collective, libraries: { mpi: collective.version } });
  } catch (error) {
    // Interrupted in order: all processes have stopped after the same step.
    if (!(error instanceof Interruption)) await endAll(error, collective);
    collective.dispose();
    throw error;
  }
  collective.dispose();
}

/** What all processes find wrong, process 0 says; a process that alone has an error says it after this time. */
const precedenceMs = 1000;

async function endAll(error: unknown, collective: { rank: number; abort(exitCode: number): void }): Promise<void> {
  const { hostname } = await import('node:os');
  if (collective.rank > 0) await delay(precedenceMs);
  reportError(error, collective.rank > 0 ? `process ${collective.rank} on ${hostname()}:` : undefined);
  collective.abort(error instanceof AblateError ? error.exitCode : 1);
}
