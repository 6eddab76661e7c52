/** Runs a layer case on the WebGPU engine, and in float64 by the reference engine's layers, and compares. */
import type { TrainingPlan, Engine, InferencePlan, Precision } from '../src/engine/engine.ts';
import { runBackward, runForward } from '../src/engine/reference/execute.ts';
import { ownBatch } from '../src/engine/reference/layer.ts';
import {
  caseInput,
  caseOutputGradient,
  caseParameters,
  caseSeed,
  caseStep,
  relativeError,
  type LayerCase,
} from './layer-cases.ts';

/** The relative errors by what is compared: outputs, gradients of parameters, running statistics. */
export async function errorsOf(
  engine: Engine,
  layerCase: LayerCase,
  precision: Precision = 'f32',
): Promise<Record<string, number>> {
  const { network, batchSize } = layerCase;
  const [training, inference] = await Promise.all([
    engine.compileTraining(network, { batchSize, precision }),
    engine.compileInference(network, { batchSize, precision }),
  ]);
  try {
    // The cases' gradients are large already.
    await training.lossScaling?.write({ scale: 8, goodSteps: 0, skippedSteps: 0 });
    const actual = { ...(await trainingResults(training, layerCase)), ...(await inferenceResults(inference, layerCase)) };
    const expected = expectedResults(layerCase);
    return Object.fromEntries(
      Object.entries(expected).map(([what, values]) => [
        what,
        relativeError(actual[what] ?? [], values, leastOf(what, expected)),
      ]),
    );
  } finally {
    training.dispose();
    inference.dispose();
  }
}

type Results = Record<string, ArrayLike<number>>;

async function trainingResults(plan: TrainingPlan, layerCase: LayerCase): Promise<Results> {
  await fill(plan, layerCase);
  // A plan must not depend on what it ran before.
  plan.forward({ seed: caseSeed, step: caseStep - 1 });
  await plan.outputGradient.write(new Float32Array(plan.outputGradient.length).fill(1));
  plan.backward();
  await fill(plan, layerCase);
  plan.forward({ seed: caseSeed, step: caseStep });
  await plan.outputGradient.write(caseOutputGradient(layerCase));
  plan.backward();
  const { parameters: arena } = plan;
  const read = arena.entries.map(async (entry): Promise<[string, Float32Array]> => {
    const { name, kind } = entry.spec;
    return kind === 'statistic'
      ? [name, await arena.read(entry, arena.values)]
      : [`gradient of ${name}`, await arena.read(entry, arena.gradients)];
  });
  return { 'output in training': await plan.output.read(), ...Object.fromEntries(await Promise.all(read)) };
}

async function inferenceResults(plan: InferencePlan, layerCase: LayerCase): Promise<Results> {
  await fill(plan, layerCase);
  plan.forward();
  return { 'output at inference': await plan.output.read() };
}

async function fill(plan: TrainingPlan | InferencePlan, layerCase: LayerCase): Promise<void> {
  const { parameters: arena } = plan;
  const values = caseParameters(layerCase.network);
  for (const entry of arena.entries) await arena.write(entry, values.get(entry.spec.name)!, arena.values);
  plan.input.set(caseInput(layerCase));
}

function expectedResults(layerCase: LayerCase): Results {
  const { network, batchSize } = layerCase;
  const input = Float64Array.from(caseInput(layerCase));
  const parameters = () => new Map([...caseParameters(network)].map(([name, values]) => [name, Float64Array.from(values)]));
  const inference = runForward(network, batchSize, parameters(), input, { training: false });
  const mode = { training: true, draws: { seed: caseSeed, step: caseStep }, sharedBatch: ownBatch } as const;
  const values = parameters();
  const training = runForward(network, batchSize, values, input, mode);
  const gradients = runBackward(network, training, values, Float64Array.from(caseOutputGradient(layerCase)), mode);
  const ofParameters = network.parameters.map(({ name, kind }) =>
    kind === 'statistic' ? [name, values.get(name)!] : [`gradient of ${name}`, gradients.parameters.get(name)!],
  );
  return {
    'output in training': training.tensors.get(network.output)!,
    ...(Object.fromEntries(ofParameters) as Results),
    'output at inference': inference.tensors.get(network.output)!,
  };
}

/** What counts as small: see compare-engines.ts. */
function leastOf(what: string, results: Results): number {
  const layer = /^gradient of (.*)\.(?:bias|shift)$/.exec(what)?.[1];
  if (layer === undefined) return 0;
  const others = Object.entries(results).filter(([name]) => name.startsWith(`gradient of ${layer}.`));
  return (
    0.1 * Math.max(...others.map(([, values]) => Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0)))
  );
}
