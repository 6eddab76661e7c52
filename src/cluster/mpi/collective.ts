/** The processes that mpirun, mpiexec or srun started together, as a Collective. */
import { environmentVariable } from '../../util/env.ts';
import { AblateError, ConfigurationError } from '../../util/errors.ts';
import type { Collective, Numbers, Stageable } from '../collective.ts';
import type { Launch } from '../launch.ts';
import { bf16Sums, createBackgroundSum, cutIntoParts, plainSums } from './background-sum.ts';
import { loadMpi } from './library.ts';
import { startMpi, type Communicator, type Operation } from './mpi.ts';

export interface MpiOptions {
  /** How long the others may take to answer before this process gives up, in seconds; default 120. */
  readonly patienceSeconds?: number;
  /** Whether background sums begin before they are waited for; default true. */
  readonly overlap?: boolean;
}

export interface MpiCollective extends Collective {
  /** `Open MPI v4.1.4` */
  readonly version: string;
  /** Ends the processes of all ranks, this one included, with an exit code: for an error that the others do not have. */
  abort(exitCode: number): void;
}

/** Gradients are summed in parts of about a megabyte: large enough for the network, small enough to begin early. */
const partElements = 256 * 1024;

/**
 * Joins the processes that were launched with this one. Once per process.
 *
 * @throws AblateError if there is no MPI library, or it does not find the other processes; ConfigurationError for a wrong ABLATE_MPI_TIMEOUT
 */
export function joinProcesses(
  launch: Launch,
  { patienceSeconds = defaultPatience(), overlap = true }: MpiOptions = {},
): MpiCollective {
  const library = loadMpi(launch.family, environmentVariable('ABLATE_MPI_LIBRARY'));
  const mpi = startMpi(library);
  const { world } = mpi;
  requireAllProcesses(launch, world, mpi.version);
  const machine = mpi.ofMachine();
  const waiting = { ms: 0 };

  const complete = (operations: readonly Operation[], what: string, patience = patienceSeconds): void =>
    mpi.complete(operations, what, patience);
  const broadcast = (bytes: Uint8Array): void => complete([world.broadcast(bytes)], 'a broadcast');

  return {
    version: mpi.version,
    rank: world.rank,
    worldSize: world.size,
    localRank: machine.rank,
    localSize: machine.size,
    sum: (values) => complete([world.sum(values)], 'a sum'),
    backgroundSum(buffer: Numbers | Stageable, { boundaries = [], precision = 'f32' } = {}) {
      const staged = 'stage' in buffer ? buffer.stage() : undefined;
      const numbers = staged?.host ?? (buffer as Numbers);
      const parts = cutIntoParts(numbers.length, boundaries, partElements);
      const communicator = world.duplicate();
      const rounded = precision === 'bf16' && numbers instanceof Float32Array;
      const sums = rounded ? bf16Sums(communicator, numbers, parts) : plainSums(communicator, numbers, parts);
      // What has to be brought here first is not final while the step is computed.
      const overlaps = overlap && staged?.direct !== false;
      const sum = createBackgroundSum(sums, overlaps, (operations) => {
        const before = performance.now();
        complete(operations, 'the sum of the gradients');
        waiting.ms += performance.now() - before;
      });
      return {
        advance: sum.advance,
        async finish() {
          await staged?.fetch();
          sum.finish();
          await staged?.store();
        },
      };
    },
    broadcast,
    async broadcastArray(array) {
      const staged = array.stage();
      const { buffer, byteOffset, byteLength } = staged.host;
      await staged.fetch();
      broadcast(new Uint8Array(buffer, byteOffset, byteLength));
      await staged.store();
    },
    barrier: (patience) => complete([world.barrier()], 'a meeting of all processes', patience),
    metrics(steps) {
      const waitMs = waiting.ms / steps;
      waiting.ms = 0;
      return { 'train/gradientWaitMs': waitMs };
    },
    dispose: () => mpi.finalize(),
    abort: (exitCode) => mpi.abort(exitCode),
  };
}

const defaultPatienceSeconds = 120;

function defaultPatience(): number {
  const text = environmentVariable('ABLATE_MPI_TIMEOUT');
  const seconds = text === undefined ? defaultPatienceSeconds : Number(text);
  if (seconds > 0) return seconds;
  throw new ConfigurationError(`ABLATE_MPI_TIMEOUT (=${text!}) must be a number of seconds above 0`);
}

/** A launcher of another MPI than the library's starts processes that each believe to be alone. */
function requireAllProcesses({ processes }: Launch, world: Communicator, version: string): void {
  if (processes === undefined || processes === world.size) return;
  throw new AblateError(`${processes} processes were started, but ${version} finds only ${world.size}`, {
    fix:
      'The launcher belongs to another MPI than the library. Use the mpirun of the same MPI (mpirun.openmpi, mpiexec.hydra), ' +
      'or set ABLATE_MPI_LIBRARY to the libmpi of the launcher',
  });
}
