/** Every layer of the shared table, exported and run in ONNX Runtime, against the reference engine. */
import { describe, expect, test } from 'vitest';
import { buildGraph } from '../src/deploy/onnx/graph.ts';
import { addLayers } from '../src/deploy/onnx/export.ts';
import { encodeModel } from '../src/deploy/onnx/schema.ts';
import { InferenceSession, Tensor } from '../src/deploy/onnx-runtime.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import type { Network } from '../src/nn/network.ts';
import type { Tensor as NamedTensor } from '../src/runs/safetensors.ts';
import { allLayerCases, caseInput, caseParameters, relativeError, type LayerCase } from './layer-cases.ts';

/** The network alone, on float images that need no preprocessing. */
function encodeNetwork(network: Network, weights: ReadonlyMap<string, NamedTensor>): Uint8Array {
  const face = {
    name: network.name,
    input: { name: 'x', type: 'float', shape: ['N', ...network.inputShape] },
    outputs: [{ name: 'y', type: 'float', shape: ['N', ...network.outputShape] }],
  } as const;
  const graph = buildGraph(face, (builder) => [addLayers(builder, network, weights, 'x')]);
  return encodeModel({ producerName: 'test', producerVersion: '1', docString: '', graph, metadata: {} });
}

async function expectedOutput(
  { network, batchSize }: LayerCase,
  parameters: ReadonlyMap<string, Float32Array>,
  input: Float32Array,
) {
  const plan = await referenceEngine.compileInference(network, { batchSize });
  for (const entry of plan.parameters.entries) {
    await plan.parameters.write(entry, parameters.get(entry.spec.name)!, plan.parameters.values);
  }
  plan.input.set(input);
  plan.forward();
  return await plan.output.read();
}

/** Custom layers have no form in ONNX, and are refused. */
const writtenCases = allLayerCases.filter(([kind]) => kind !== 'custom');

describe.each(writtenCases)('%s', (_, name, layerCase) => {
  test(`${name} computes the same in ONNX Runtime`, async () => {
    const { network, batchSize } = layerCase;
    const parameters = caseParameters(network);
    const weights = new Map(
      network.parameters.map((spec) => [spec.name, { shape: spec.shape, data: parameters.get(spec.name)! }]),
    );
    const input = caseInput(layerCase);
    const session = await InferenceSession.create(encodeNetwork(network, weights), { intraOpNumThreads: 1 });
    const results = await session.run({ x: new Tensor('float32', input, [batchSize, ...network.inputShape]) });
    await session.release();
    expect(relativeError(results['y']!.data as Float32Array, await expectedOutput(layerCase, parameters, input))).toBeLessThan(
      1e-5,
    );
  });
});
