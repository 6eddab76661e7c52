/** How long one image takes: the network compiled for inference at batch 1, on this machine; medians. */
import { buildNetwork } from '../nn/description.ts';
import type { Engine, InferencePlan } from '../engine/engine.ts';
import { initializeParameters } from '../train/initialize.ts';
import { isQuantized } from '../study/quantization.ts';
import { percentile } from '../util/percentile.ts';
import type { ReportVariant } from './report-data.ts';

const warmUps = 10;
/** Networks take turns, so that what disturbs the machine for a while disturbs all of them alike. */
const turns = 10;
/** Time of a network in each turn. */
const turnMs = 50;

/** More different networks than this are not measured unless asked for. */
export const networksMeasuredUnasked = 20;

/** How many different networks the variants have. */
export function countNetworks(variants: readonly ReportVariant[]): number {
  return new Set(variants.map(networkKey)).size;
}

/**
 * The variants with their latency. Weights do not matter to it, so each network is measured once. Quantized files have none: this engine
 * computes in float32.
 */
export function withLatencies(variants: readonly ReportVariant[], engine: Engine): ReportVariant[] {
  const inFloat = variants.filter(({ quantization }) => !isQuantized(quantization));
  const distinct = new Map(inFloat.map((variant) => [networkKey(variant), variant]));
  const plans = [...distinct].map(([key, variant]) => ({
    key,
    plan: compileForOne(variant, engine),
    times: [] as number[],
  }));
  try {
    for (let turn = 0; turn < turns; turn++) for (const { plan, times } of plans) times.push(...timeTurn(plan));
    const latencies = new Map(plans.map(({ key, times }) => [key, percentile(times, 0.5)]));
    return variants.map((variant) => {
      const latencyMs = isQuantized(variant.quantization) ? undefined : latencies.get(networkKey(variant));
      return { ...variant, cost: { ...variant.cost, latencyMs } };
    });
  } finally {
    for (const { plan } of plans) plan.dispose();
  }
}

function networkKey({ network }: ReportVariant): string {
  return JSON.stringify(network);
}

function compileForOne({ config, network }: ReportVariant, engine: Engine): InferencePlan {
  const plan = engine.compileInference(buildNetwork(network), { batchSize: 1 });
  initializeParameters(plan.parameters, config.seed, config.initializer);
  plan.input.forEach((_, i) => (plan.input[i] = Math.sin(i)));
  for (let i = 0; i < warmUps; i++) plan.forward();
  return plan;
}

/** Milliseconds of each image, for the time of a turn. */
function timeTurn(plan: InferencePlan): number[] {
  const times: number[] = [];
  const end = performance.now() + turnMs;
  do {
    const start = performance.now();
    plan.forward();
    times.push(performance.now() - start);
  } while (performance.now() < end);
  return times;
}
