/** Whether this process was started to work together with others, and by what. Read from the environment, before any MPI is loaded. */
import { environmentVariable } from '../util/env.ts';
import { ConfigurationError } from '../util/errors.ts';

export interface Launch {
  /** The MPI whose library the launcher speaks to. */
  readonly family: 'openmpi' | 'mpich';
  /** Number of processes that it says it started; undefined if it does not say. */
  readonly processes: number | undefined;
}

type Environment = (name: string) => string | undefined;

/**
 * What started this process as one of several: mpirun of Open MPI, mpiexec of MPICH (and those like it), or srun. Undefined for a process
 * alone, also within a batch job.
 *
 * @throws ConfigurationError under an srun that starts several processes and tells them nothing of each other
 */
export function detectLaunch(environment: Environment = environmentVariable): Launch | undefined {
  const launch = launchSaid(environment);
  // One process alone needs no MPI: a shell within an srun, for instance.
  return launch?.processes === 1 ? undefined : launch;
}

function launchSaid(environment: Environment): Launch | undefined {
  const count = (name: string): number | undefined => {
    const value = Number(environment(name));
    return Number.isInteger(value) && value > 0 ? value : undefined;
  };
  const openMpi = count('OMPI_COMM_WORLD_SIZE');
  if (openMpi !== undefined) return { family: 'openmpi', processes: openMpi };
  const stepTasks = count('SLURM_STEP_NUM_TASKS');
  if (environment('PMIX_RANK') !== undefined) return { family: 'openmpi', processes: stepTasks };
  const mpich = count('PMI_SIZE');
  if (mpich !== undefined) return { family: 'mpich', processes: mpich };
  if (environment('PMI_RANK') !== undefined) return { family: 'mpich', processes: stepTasks };
  if (stepTasks === undefined || stepTasks === 1) return undefined;
  throw new ConfigurationError(`srun started ${stepTasks} processes, but gave them no way to find each other`, {
    fix: 'srun --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH); srun --mpi=list shows what there is. For one process: --ntasks=1',
  });
}
