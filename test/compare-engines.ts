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
export function runCase(engine: Engine, layerCase: LayerCase, options: RunOptions): Results {
  return new Map([...runTraining(engine, layerCase, options), ...runInference(engine, layerCase, options)]);
}

function runTraining(engine: Engine, layerCase: LayerCase, { warmUp }: RunOptions): Results {
  const { network, batchSize } = layerCase;
  const plan = engine.compileTraining(network, { batchSize });
  try {
    fill(plan, layerCase);
    if (warmUp) {
      plan.forward({ seed: caseSeed, step: caseStep - 1 });
      plan.outputGradient.fill(1);
      plan.backward();
      fill(plan, layerCase);
    }
    plan.forward({ seed: caseSeed, step: caseStep });
    plan.outputGradient.set(caseOutputGradient(layerCase));
    plan.backward();
    return new Map([['output in training', plan.output.slice()], ...readParameters(plan.parameters)]);
  } finally {
    plan.dispose();
  }
}

function readParameters(arena: ParameterArena): [string, Float32Array][] {
  return arena.entries.map((entry) => {
    const { name, kind } = entry.spec;
    if (kind === 'statistic') return [name, arena.read(entry, arena.values)];
    return [`gradient of ${name}`, arena.read(entry, arena.gradients)];
  });
}

function runInference(engine: Engine, layerCase: LayerCase, { warmUp }: RunOptions): Results {
  const { network, batchSize } = layerCase;
  const plan = engine.compileInference(network, { batchSize });
  try {
    fill(plan, layerCase);
    if (warmUp) plan.forward();
    plan.forward();
    return new Map([['output at inference', plan.output.slice()]]);
  } finally {
    plan.dispose();
  }
}

function fill(plan: TrainingPlan | InferencePlan, layerCase: LayerCase): void {
  const { parameters: arena } = plan;
  const values = caseParameters(layerCase.network);
  for (const entry of arena.entries) arena.write(entry, values.get(entry.spec.name)!, arena.values);
  plan.input.set(caseInput(layerCase));
}

/** The relative error of `engine` against `oracle` by result: training output, gradients, running statistics, inference output. */
export function compareEngines(engine: Engine, oracle: Engine, layerCase: LayerCase): Record<string, number> {
  const actual = runCase(engine, layerCase, { warmUp: true });
  const expected = runCase(oracle, layerCase, { warmUp: false });
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
