/** Engines of one process may have different numbers of threads: each computes with its own. */
import { expect, test } from 'vitest';
import { skippable } from '../../../test/skippable.ts';
import { NetworkBuilder } from '../../nn/network.ts';
import type { TrainingPlan } from '../engine.ts';
import { createOnednnEngine } from './engine.ts';
import { loadLibrary } from './native.ts';
import { probeEngine, probeOnednn } from './probe.ts';

const whyNot = probeOnednn().ok ? undefined : 'there is no oneDNN library';

test.skipIf(whyNot)(skippable('every engine of a process computes with the threads that it was asked for', whyNot), async () => {
  const b = new NetworkBuilder('small', [3, 8, 8]);
  const network = b.build(b.dense('logits', b.conv('c', b.input, { filters: 8, kernel: 3 }), { features: 2 }));
  const threadsNow = loadLibrary().library.func('int omp_get_max_threads()') as () => number;
  const plans: { readonly threads: number; readonly plan: TrainingPlan }[] = [];
  for (const threads of [2, 1, 3]) {
    plans.push({ threads, plan: await createOnednnEngine({ threads }).compileTraining(network, { batchSize: 2 }) });
    expect(threadsNow()).toBe(threads);
  }
  for (let turn = 0; turn < 2; turn++) {
    for (const { threads, plan } of plans) {
      plan.forward({ seed: 1, step: turn });
      expect(threadsNow()).toBe(threads);
    }
    for (const { threads, plan } of plans.toReversed()) {
      plan.backward();
      expect(threadsNow()).toBe(threads);
    }
    for (const { threads, plan } of plans) {
      plan.vectorMath.multiply(plan.parameters.allocate(), plan.parameters.allocate())();
      expect(threadsNow()).toBe(threads);
    }
  }
  for (const { plan } of plans) plan.dispose();
});

test('oneDNN is fast where it has vectorized kernels, and says why it is not there', () => {
  const found = { ok: true, version: '3.4.1', isa: 'avx2' };
  expect(probeEngine(found, 'x64')).toEqual({ available: true, fast: true, reason: 'oneDNN 3.4.1 (avx2)' });
  expect(probeEngine(found, 'arm64')).toMatchObject({
    available: true,
    fast: false,
    reason: expect.stringMatching(/slow.*arm64/) as string,
  });
  expect(probeEngine({ ok: false, error: 'not found', fix: 'install it' }, 'x64')).toEqual({
    ...{ available: false, fast: false, reason: 'not found', fix: 'install it' },
  });
});
