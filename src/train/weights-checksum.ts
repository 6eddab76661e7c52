import { createHash } from 'node:crypto';
import type { Tensor } from '../runs/safetensors.ts';

/** Names the weights of a network: SHA-256 over names and values. */
export function weightsChecksum(weights: ReadonlyMap<string, Tensor>): string {
  const hash = createHash('sha256');
  for (const name of [...weights.keys()].sort()) {
    const { data } = weights.get(name)!;
    hash.update(name).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}
