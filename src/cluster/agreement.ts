/** What processes agree on before they train together: that they mean the same thing, and who does what first. */
import { ConfigurationError } from '../util/errors.ts';
import { crc32 } from '../util/checksum.ts';
import type { Collective } from './collective.ts';

/**
 * Checks that `text` is the same on every process.
 *
 * @param what the processes must agree on, for the error: `the configuration`
 * @throws ConfigurationError on every process if one differs from process 0; it says which
 */
export function requireAgreement(collective: Collective, what: string, text: string | Uint8Array, fix: string): void {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const own = [bytes.length, crc32(bytes)] as const;
  const first = new Float64Array(own);
  collective.broadcast(new Uint8Array(first.buffer));
  const differs = new Float64Array(collective.worldSize);
  if (own.some((value, i) => value !== first[i])) differs[collective.rank] = 1;
  collective.sum(differs);
  const others = [...differs.keys()].filter((rank) => differs[rank]! > 0);
  if (others.length === 0) return;
  const processes = others.length === 1 ? `process ${others.join()} differs` : `processes ${others.join(', ')} differ`;
  throw new ConfigurationError(`processes that train together must agree: ${processes} from process 0 in ${what}`, { fix });
}

/** What process 0 makes, on every process; the others do not call `make`. */
export function fromFirst(collective: Collective, make: () => string): string {
  const made = new TextEncoder().encode(collective.rank === 0 ? make() : '');
  const length = Float64Array.of(made.length);
  collective.broadcast(new Uint8Array(length.buffer));
  const bytes = collective.rank === 0 ? made : new Uint8Array(length[0]!);
  collective.broadcast(bytes);
  return new TextDecoder().decode(bytes);
}

/** A download may take that long. */
const firstPatienceSeconds = 6 * 3600;

/** Lets the first process of each machine work before the others of that machine, so that they find what it has put into a cache. */
export async function firstOfMachineFirst<T>(collective: Collective, work: () => Promise<T>): Promise<T> {
  if (collective.localRank > 0) collective.barrier(firstPatienceSeconds);
  const result = await work();
  if (collective.localRank === 0) collective.barrier(firstPatienceSeconds);
  return result;
}
