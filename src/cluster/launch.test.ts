import { expect, test } from 'vitest';
import { detectLaunch } from './launch.ts';

const launchOf = (variables: Readonly<Record<string, string>>) => detectLaunch((name) => variables[name]);

test.each([
  ['alone', {}, undefined],
  ['under mpirun of Open MPI', { OMPI_COMM_WORLD_SIZE: '4', PMIX_RANK: '0' }, { family: 'openmpi', processes: 4 }],
  ['under mpiexec of MPICH', { PMI_SIZE: '2', PMI_RANK: '1' }, { family: 'mpich', processes: 2 }],
  ['under srun --mpi=pmix', { PMIX_RANK: '1', SLURM_STEP_NUM_TASKS: '8' }, { family: 'openmpi', processes: 8 }],
  ['in a batch job of four tasks', { SLURM_NTASKS: '4', SLURM_PROCID: '0' }, undefined],
  ['under srun as one task', { SLURM_STEP_NUM_TASKS: '1' }, undefined],
  ['under srun --mpi=pmix as one task', { PMIX_RANK: '0', SLURM_STEP_NUM_TASKS: '1' }, undefined],
  ['under srun --mpi=pmi2 as one task', { PMI_SIZE: '1', PMI_RANK: '0', SLURM_STEP_NUM_TASKS: '1' }, undefined],
  ['under mpirun of Open MPI as one process', { OMPI_COMM_WORLD_SIZE: '1', PMIX_RANK: '0' }, undefined],
])('%s', (_, variables, launch) => {
  expect(launchOf(variables as Record<string, string>)).toEqual(launch);
});

test('several tasks of an srun without MPI are refused', () => {
  expect(() => launchOf({ SLURM_STEP_NUM_TASKS: '4' })).toThrow(/srun started 4 processes, but gave them no way/);
});
