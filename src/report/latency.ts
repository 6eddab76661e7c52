/** How long one image takes: the network compiled for inference at batch 1, on this machine. */
import type { Engine } from '../engine/engine.ts';
import { initializeParameters } from '../train/initialize.ts';
import { networkOf, type DatasetFacts } from '../study/plan.ts';
import type { ReportVariant } from './report-data.ts';

const warmUps = 10;
const mostRepetitions = 200;
/** Time spent on each network. */
const budgetMs = 500;

/** More different networks than this are not measured unless asked for. */
export const networksMeasuredUnasked = 20;

/** How many different networks the variants have. */
export function countNetworks(variants: readonly ReportVariant[]): number {
  return new Set(variants.map(networkKey)).size;
}

/** The variants with their latency; each network is measured once, one after the other. Weights do not matter to it. */
export function withLatencies(
  variants: readonly ReportVariant[],
  facts: Pick<DatasetFacts, 'shape' | 'classes'>,
  engine: Engine,
): ReportVariant[] {
  const measured = new Map<string, number>();
  return variants.map((variant) => {
    const key = networkKey(variant);
    const latencyMs = measured.get(key) ?? measureLatency(variant, facts, engine);
    measured.set(key, latencyMs);
    return { ...variant, cost: { ...variant.cost, latencyMs } };
  });
}

function networkKey({ config }: ReportVariant): string {
  return JSON.stringify([config.model, config.modelSettings, config.inputSize]);
}

/** Median in milliseconds. */
function measureLatency({ config }: ReportVariant, facts: Pick<DatasetFacts, 'shape' | 'classes'>, engine: Engine): number {
  const plan = engine.compileInference(networkOf(config, { ...facts, evaluationImages: 0 }), { batchSize: 1 });
  try {
    initializeParameters(plan.parameters, config.seed, config.initializer);
    plan.input.forEach((_, i) => (plan.input[i] = Math.sin(i)));
    for (let i = 0; i < warmUps; i++) plan.forward();
    const times: number[] = [];
    const end = performance.now() + budgetMs;
    while (times.length < mostRepetitions && (times.length < 10 || performance.now() < end)) {
      const start = performance.now();
      plan.forward();
      times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
  } finally {
    plan.dispose();
  }
}
