/** What tests do to the elements of an engine's arrays. */
import type { DeviceArray, InferencePlan } from '../src/engine/engine.ts';

/** Makes every element what `value` says of its position and what it is now. */
export async function change(array: DeviceArray, value: (before: number, i: number) => number): Promise<void> {
  await array.write((await array.read()).map(value));
}

/** Makes every element the value. */
export async function fill(array: DeviceArray, value: number): Promise<void> {
  await array.write(new Float32Array(array.length).fill(value));
}

/** A plan whose output reads as what `change` makes of it: for tests of those who compare. */
export function withOutput<P extends InferencePlan>(plan: P, change: (values: Float32Array) => Float32Array): P {
  const { output } = plan;
  const changed: DeviceArray = {
    engine: output.engine,
    length: output.length,
    part: (start, end) => output.part(start, end),
    read: async () => change(await output.read()),
    write: (values) => output.write(values),
    stage: () => output.stage(),
  };
  return new Proxy(plan, {
    get(target, key) {
      if (key === 'output') return changed;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
