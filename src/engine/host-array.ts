/**
 * Arrays of engines whose device is the host. Nothing outside of such an engine may see that their elements are at hand: that is why they are
 * no typed arrays.
 */
import type { DeviceArray, Staging } from './engine.ts';

export class HostArray implements DeviceArray {
  readonly engine: string;
  readonly #values: Float32Array;
  readonly #stagedDirectly: boolean;

  /** @param stagedDirectly whether `stage` gives the memory itself, and not a copy */
  constructor(engine: string, values: Float32Array, { stagedDirectly }: { readonly stagedDirectly: boolean }) {
    this.engine = engine;
    this.#values = values;
    this.#stagedDirectly = stagedDirectly;
  }

  /** The elements of an array, for its engine. Throws a TypeError for an array of another one. */
  static valuesOf(array: DeviceArray, engine: string): Float32Array {
    if (array instanceof HostArray && array.engine === engine) return array.#values;
    throw new TypeError(`an array of the engine ${array.engine} cannot be used by ${engine}`);
  }

  get length(): number {
    return this.#values.length;
  }

  part(start: number, end: number): HostArray {
    return new HostArray(this.engine, this.#values.subarray(start, end), { stagedDirectly: this.#stagedDirectly });
  }

  read(): Promise<Float32Array> {
    return Promise.resolve(this.#values.slice());
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- what is wrong rejects, as it does on a device
  async write(values: Float32Array): Promise<void> {
    if (values.length !== this.length) throw new RangeError(`${values.length} values for an array of ${this.length}`);
    this.#values.set(values);
  }

  stage(): Staging {
    const values = this.#values;
    const nothing = () => Promise.resolve();
    if (this.#stagedDirectly) return { host: values, direct: true, fetch: nothing, store: nothing };
    const host = new Float32Array(values.length);
    return {
      host,
      direct: false,
      fetch: () => {
        host.set(values);
        return Promise.resolve();
      },
      store: () => {
        values.set(host);
        return Promise.resolve();
      },
    };
  }
}
