/** Runs a layer case on an engine, and compares what two engines make of it. */
import type { Engine, InferencePlan, ParameterArena, TrainingPlan } from '../src/engine/engine.ts';
import {
  caseInput,
  caseOutputGradient,
  caseParameters,
  caseSeed,
  caseStep,
  relativeError,
  type LayerCase,
} from './layer-cases.ts';

/** Plain arrays by what they are: `output`, `gradient of c.weight`, `n.mean`. */
export type Results = ReadonlyMap<string, Float32Array>;

export interface RunOptions {
  /** Run everything once before, with other draws and gradients: a plan must not depend on what it ran before. */
  readonly warmUp: boolean;
}

/** One training step and one inference of a case. */
export async function runCase(engine: Engine, layerCase: LayerCase, options: RunOptions): Promise<Results> {
  return new Map([...(await runTraining(engine, layerCase, options)), ...(await runInference(engine, layerCase, options))]);
}

async function runTraining(engine: Engine, layerCase: LayerCase, { warmUp }: RunOptions): Promise<Results> {
  const { network, batchSize } = layerCase;
  const plan = await engine.compileTraining(network, { batchSize });
  try {
    await fill(plan, layerCase);
    if (warmUp) {
      plan.forward({ seed: caseSeed, step: caseStep - 1 });
      await plan.outputGradient.write(new Float32Array(plan.outputGradient.length).fill(1));
      plan.backward();
      await fill(plan, layerCase);
    }
    plan.forward({ seed: caseSeed, step: caseStep });
    await plan.outputGradient.write(caseOutputGradient(layerCase));
    plan.backward();
    return new Map([['output in training', await plan.output.read()], ...(await readParameters(plan.parameters))]);
  } finally {
    plan.dispose();
  }
}

async function readParameters(arena: ParameterArena): Promise<[string, Float32Array][]> {
  return await Promise.all(
    arena.entries.map(async (entry) => {
      const { name, kind } = entry.spec;
      if (kind === 'statistic') return [name, await arena.read(entry, arena.values)];
      return [`gradient of ${name}`, await arena.read(entry, arena.gradients)];
    }),
  );
}

async function runInference(engine: Engine, layerCase: LayerCase, { warmUp }: RunOptions): Promise<Results> {
  const { network, batchSize } = layerCase;
  const plan = await engine.compileInference(network, { batchSize });
  try {
    await fill(plan, layerCase);
    if (warmUp) plan.forward();
    plan.forward();
    return new Map([['output at inference', await plan.output.read()]]);
  } finally {
    plan.dispose();
  }
}

async function fill(plan: TrainingPlan | InferencePlan, layerCase: LayerCase): Promise<void> {
  const { parameters: arena } = plan;
  const values = caseParameters(layerCase.network);
  for (const entry of arena.entries) await arena.write(entry, values.get(entry.spec.name)!, arena.values);
  plan.input.set(caseInput(layerCase));
}

/** The relative error of `engine` against `oracle` by result: training output, gradients, running statistics, inference output. */
export async function compareEngines(engine: Engine, oracle: Engine, layerCase: LayerCase): Promise<Record<string, number>> {
  const actual = await runCase(engine, layerCase, { warmUp: true });
  const expected = await runCase(oracle, layerCase, { warmUp: false });
  return Object.fromEntries(
    [...expected].map(([what, values]) => [what, relativeError(actual.get(what) ?? [], values, leastOf(what, expected))]),
  );
}

/**
 * What counts as small. A normalization further on takes away what a bias or a shift adds: its gradient is zero, a sum of large numbers that cancel, of
 * which rounding is left. It is compared in tenths of its layer's largest gradient.
 */
function leastOf(what: string, results: Results): number {
  const layer = /^gradient of (.*)\.(?:bias|shift)$/.exec(what)?.[1];
  if (layer === undefined) return 0;
  const others = [...results].filter(([name]) => name.startsWith(`gradient of ${layer}.`)).map(([, values]) => values);
  return 0.1 * Math.max(...others.map((values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)));
}

/** The entries of `errors` above `tolerance`: an empty object means that the engines agree. */
export function disagreements(errors: Record<string, number>, tolerance: number): Record<string, number> {
  return Object.fromEntries(Object.entries(errors).filter(([, error]) => !(error <= tolerance)));
}
