/** Trains a few steps on a device of its own, as often as the argument says, and collects garbage at every turn; see scripts/webgpu-lifetimes.mjs. */
import { setImmediate } from 'node:timers/promises';
import { openWebgpuEngine } from '../src/engine/webgpu/adapter.ts';
import { NetworkBuilder } from '../src/nn/network.ts';

const { gc } = globalThis;
if (gc === undefined) throw new Error('start it with --expose-gc');
const b = new NetworkBuilder('small', [8]);
const network = b.build(b.dense('d', b.input, { features: 4 }));

for (let training = 0; training < Number(process.argv[2]); training++) {
  const engine = await openWebgpuEngine();
  const plan = await engine.compileTraining(network, { batchSize: 2 });
  for (let step = 0; step < 20; step++) {
    plan.forward({ seed: 1, step });
    plan.computeLoss({ labels: Uint8Array.of(1, 3) });
    plan.backward();
    gc();
    await setImmediate();
    if (step % 10 === 9) await plan.takeLosses();
  }
  plan.dispose();
  engine.dispose();
  gc();
}
