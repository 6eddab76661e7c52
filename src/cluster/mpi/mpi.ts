/**
 * The MPI calls that training needs, with errors and patience. All communication is by non-blocking calls that are asked again and
 * again whether they are done: so a process that waits for one that is gone can give up, and none burns a core that another needs.
 */
import koffi from 'koffi';
import { AblateError } from '../../util/errors.ts';
import { CommunicationError, type Numbers } from '../collective.ts';
import type { Handle, MpiLibrary } from './library.ts';

/** A non-blocking operation under way; the library needs its buffers where they are until it is done. */
export interface Operation {
  /** Moves all communication of this process on, and returns whether this operation is done. */
  isDone(): boolean;
}

export interface Mpi {
  readonly world: Communicator;
  /** The library's name and version. */
  readonly version: string;
  /** A communicator of the processes on the same machine as this one. */
  ofMachine(): Communicator;
  /** Returns when all are done. Throws CommunicationError if that takes longer than `patienceSeconds`. */
  complete(operations: readonly Operation[], what: string, patienceSeconds: number): void;
  /** Ends all processes of the job, this one included, with an exit code. */
  abort(exitCode: number): void;
  /** Ends the use of MPI; returns when all processes have come to this point. */
  finalize(): void;
}

/** Processes that call the same operations in the same order. */
export interface Communicator {
  readonly rank: number;
  readonly size: number;
  /** The same processes, with operations whose order does not mix with this one's. To be called by all of them. */
  duplicate(): Communicator;
  /** Sums in place. */
  sum(values: Numbers): Operation;
  /** Replaces the bytes by those of process 0. */
  broadcast(bytes: Uint8Array): Operation;
  barrier(): Operation;
  /** Process i's part j becomes process j's part i: `send` and `receive` are cut in `size` equal parts. */
  exchange(send: Uint8Array, receive: Uint8Array): Operation;
  /** Puts `part` of process i as part i into `whole`, everywhere. */
  gather(part: Uint8Array, whole: Uint8Array): Operation;
}

type Call = (...args: readonly unknown[]) => number;

/**
 * Starts MPI in this process, for calls of the main thread only.
 *
 * @throws AblateError if a call fails. (Most failures never return: MPI prints them and ends the job.)
 */
export function startMpi({ library, version, handleType, constants }: MpiLibrary): Mpi {
  const declare = (name: string, parameters: string): Call => {
    const native = library.func(`int ${name}(${parameters.replaceAll('Handle', handleType)})`) as Call;
    return (...args) => {
      const code = native(...args);
      if (code !== 0) throw new AblateError(`${name} failed with code ${code} (${version})`);
      return code;
    };
  };
  const init = declare('MPI_Init_thread', 'intptr_t argc, intptr_t argv, int required, void *provided');
  const commRank = declare('MPI_Comm_rank', 'Handle communicator, void *rank');
  const commSize = declare('MPI_Comm_size', 'Handle communicator, void *size');
  const commDuplicate = declare('MPI_Comm_dup', 'Handle communicator, void *result');
  const commSplitType = declare('MPI_Comm_split_type', 'Handle communicator, int type, int key, Handle info, void *result');
  const allReduce = declare(
    'MPI_Iallreduce',
    'intptr_t send, void *receive, int count, Handle type, Handle operation, Handle communicator, void *request',
  );
  const broadcast = declare('MPI_Ibcast', 'void *buffer, int count, Handle type, int root, Handle communicator, void *request');
  const barrier = declare('MPI_Ibarrier', 'Handle communicator, void *request');
  const block = 'void *send, int sendCount, Handle sendType, void *receive, int receiveCount, Handle receiveType';
  const allToAll = declare('MPI_Ialltoall', `${block}, Handle communicator, void *request`);
  const allGather = declare('MPI_Iallgather', `${block}, Handle communicator, void *request`);
  const test = declare('MPI_Test', 'void *request, void *flag, intptr_t status');
  const abort = declare('MPI_Abort', 'Handle communicator, int code');
  const finalize = declare('MPI_Finalize', 'void');
  const libc = koffi.load(process.platform === 'darwin' ? 'libSystem.B.dylib' : 'libc.so.6');
  const yieldProcessor = libc.func('int sched_yield(void)') as () => number;
  const alarm = libc.func('unsigned int alarm(unsigned int seconds)') as (seconds: number) => number;

  const calledFromMainThread = 1;
  init(0, 0, calledFromMainThread, new Int32Array(1));

  /** Calls a function whose last parameter receives a handle. */
  const created = (call: Call, ...args: readonly unknown[]): Handle => {
    const result = handleType === 'int' ? new Int32Array(1) : new BigUint64Array(1);
    call(...args, result);
    return result[0]!;
  };

  /** Starts a non-blocking call, whose last parameter receives a request. */
  const started = (buffers: readonly ArrayBufferView[], call: Call, ...args: readonly unknown[]): Operation => {
    // MPI_Test replaces a finished request by MPI_REQUEST_NULL: the array belongs to the operation, as do the buffers in use.
    const state = { request: new BigUint64Array(1), flag: new Int32Array(1), buffers };
    call(...args, state.request);
    return {
      isDone: () => {
        test(state.request, state.flag, constants.statusIgnore);
        return state.flag[0] !== 0;
      },
    };
  };

  const communicator = (handle: Handle): Communicator => {
    const number = new Int32Array(1);
    commRank(handle, number);
    const rank = number[0]!;
    commSize(handle, number);
    const size = number[0]!;
    const { inPlace, sum, byte } = constants;
    return {
      rank,
      size,
      duplicate: () => communicator(created(commDuplicate, handle)),
      sum: (values) => {
        const type = values instanceof Float32Array ? constants.float : constants.double;
        return started([values], allReduce, inPlace, values, values.length, type, sum, handle);
      },
      broadcast: (bytes) => started([bytes], broadcast, bytes, bytes.length, byte, 0, handle),
      barrier: () => started([], barrier, handle),
      exchange: (send, receive) => {
        const part = send.length / size;
        return started([send, receive], allToAll, send, part, byte, receive, part, byte, handle);
      },
      gather: (part, whole) => started([part, whole], allGather, part, part.length, byte, whole, part.length, byte, handle),
    };
  };

  const world = communicator(constants.world);
  return {
    world,
    version,
    ofMachine: () => communicator(created(commSplitType, constants.world, constants.typeShared, world.rank, constants.infoNull)),
    complete(operations, what, patienceSeconds) {
      const wait = patientWait(what, patienceSeconds, yieldProcessor);
      for (const operation of operations) while (!operation.isDone()) wait();
    },
    abort(exitCode) {
      // Should MPI hang where it ought to end the process (a network that is gone), the kernel ends it.
      alarm(abortSeconds);
      abort(constants.world, exitCode);
    },
    finalize: () => {
      finalize();
    },
  };
}

const abortSeconds = 10;

/** A process that waits gives its core to whoever wants it; after so long it asks only once a millisecond. */
const restlessMs = 250;

/** What to do between two looks at an operation that is not done. */
function patientWait(what: string, patienceSeconds: number, yieldProcessor: () => number): () => void {
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  let since: number | undefined;
  return () => {
    since ??= performance.now();
    const waitedMs = performance.now() - since;
    if (waitedMs > 1000 * patienceSeconds) {
      throw new CommunicationError(`the other processes did not answer for ${patienceSeconds} s (${what})`, {
        fix:
          'A machine or the network between them may be down. The last checkpoint is kept: continue with --resume. ' +
          'ABLATE_MPI_TIMEOUT=<seconds> waits longer',
      });
    }
    if (waitedMs < restlessMs) yieldProcessor();
    else Atomics.wait(sleeper, 0, 0, 1);
  };
}
