/** The process that looks for adapters: probe.ts starts it, and reads its one message. */
import { AblateError, messageOf } from '../../util/errors.ts';
import { findAdapter, loadPackage } from './adapter.ts';
import { describeAdapter } from './device.ts';
import type { ListedAdapter, ProbeAnswer } from './probe.ts';

/** What the package has made: collected, it would take the process with it. */
const kept: unknown[] = [];

async function look(): Promise<ProbeAnswer> {
  try {
    const { instance, description, isSoftware, hasFloat16 } = await findAdapter();
    kept.push(instance);
    const listed = await listAll();
    const chosen = listed.find((each) => each.description === description) ?? { description, isSoftware, hasFloat16 };
    return { adapters: [chosen, ...listed.filter((each) => each !== chosen)] };
  } catch (error) {
    const fix = error instanceof AblateError ? error.fix : undefined;
    return { adapters: [], reason: messageOf(error), ...(fix !== undefined && { fix }) };
  }
}

/** All adapters, each as often as there are backends that reach it. Empty if Dawn words its list in another way. */
async function listAll(): Promise<readonly ListedAdapter[]> {
  const { create } = await loadPackage();
  const request = async (...options: readonly string[]) => {
    const instance = create(options);
    kept.push(instance);
    return await instance.requestAdapter();
  };
  // WebGPU gives one adapter and has no list; Dawn lists them in the error for a name that none has.
  const list = await request('adapter=none has this name').then(() => '', messageOf);
  const adapters: ListedAdapter[] = [];
  for (const [, backend, name] of list.matchAll(/backend: '(\w+)', name: '(.+)'$/gm)) {
    const adapter = await request(`backend=${backend!}`, `adapter=${name!}`);
    if (adapter !== null) adapters.push({ ...describeAdapter(adapter), backend: backend! });
  }
  return adapters;
}

process.send?.(await look(), () => process.exit());
