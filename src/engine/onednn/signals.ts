/** Keeps signals away from the thread that computes: kernels of oneDNN lose memory to their handlers. */
import { readdirSync, readFileSync, readlinkSync, stat } from 'node:fs';
import { basename } from 'node:path';
import { openLibc } from './native.ts';

/** Those that an instruction raises, and those that nothing blocks: SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGSEGV, SIGSTOP, SIGSYS. */
const neverBlocked = [4, 5, 6, 7, 8, 9, 11, 19, 31];

const SIG_BLOCK = 0;

/** Bytes of glibc's `sigset_t`; signal n is bit n - 1. */
const signalSetBytes = 128;

/**
 * Has the signals of this process handled by its other threads. oneDNN before 3.12 keeps an address of the heap in the stack pointer within some
 * products of matrices (https://github.com/uxlfoundation/oneDNN/issues/4845): a handler that begins then, for Ctrl-C, a window of another size or a
 * child that ends, writes its frame into the heap. Threads that are made later, OpenMP's among them, do as this one does; processes that are started do not.
 * A signal that no other thread takes stays as it was. Does nothing on other systems and processors than Linux on x64.
 */
export function keepSignalsAway(): void {
  if (process.platform !== 'linux' || process.arch !== 'x64') return;
  // Node keeps SIGUSR1 from most of its threads; those of the pool that this call starts, if nothing has yet, take every signal.
  stat('/', () => undefined);
  const taken = takenByOthers();
  if (taken === 0n) return;
  const set = new Uint8Array(signalSetBytes);
  new DataView(set.buffer).setBigUint64(0, taken, true);
  const block = openLibc().func('int pthread_sigmask(int how, const void *set, void *before)') as (...args: unknown[]) => number;
  block(SIG_BLOCK, set, null);
}

/** The signals that at least one other thread of this process takes, a bit each; none where that cannot be read. */
function takenByOthers(): bigint {
  let taken = 0n;
  try {
    const self = basename(readlinkSync('/proc/thread-self'));
    for (const thread of readdirSync('/proc/self/task')) {
      if (thread !== self) taken |= ~blockedIn(thread);
    }
  } catch {
    return 0n;
  }
  for (const signal of neverBlocked) taken &= ~(1n << BigInt(signal - 1));
  return BigInt.asUintN(64, taken);
}

/** All, for a thread that has ended meanwhile. */
function blockedIn(thread: string): bigint {
  try {
    const [, blocked] = /^SigBlk:\s*([\da-f]+)$/m.exec(readFileSync(`/proc/self/task/${thread}/status`, 'utf8')) ?? [];
    return blocked === undefined ? ~0n : BigInt(`0x${blocked}`);
  } catch {
    return ~0n;
  }
}
