import { expect, test } from 'vitest';
import { freezeUntrained } from '../../../test/freeze-untrained.ts';
import { network, untrained } from '../../../test/untrained-squeeze0.ts';
import { told } from '../../../test/told.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { freeze } from '../freeze.ts';
import { readFrozenMetadata } from '../metadata.ts';
import { foldBatchNorms } from '../onnx/fold.ts';
import { decodeModel, encodeModel } from '../onnx/schema.ts';
import { trainedFromFrozen, trainedFromSaved } from './trained.ts';

const classes = ['a', 'b', 'c', 'd'];

const frozenFile = (bytes: Uint8Array) => ({ bytes, metadata: readFrozenMetadata(bytes, 'squeeze0.onnx') });

test('from saved weights: those of the file, batch normalizations folded, under the names that are given', () => {
  const { classifier, folded } = trainedFromSaved(untrained, 'raw', classes);
  expect([classifier.classes, classifier.network]).toEqual([classes, network]);
  expect(folded).toEqual(foldBatchNorms(network, untrained.file.tensors));
  expect(told(() => trainedFromSaved(untrained, 'raw', undefined))).toMatchObject({ kind: 'ConfigurationError' });
});

test('from a frozen file: the same as from the weights that it was made of', async () => {
  const saved = trainedFromSaved(untrained, 'raw', classes);
  const source = { ...untrained, classifier: saved.classifier };
  const { encode } = await freeze({ saved: source, weights: 'raw', engine: referenceEngine });
  const { classifier, folded } = trainedFromFrozen(frozenFile(encode(null)), 'squeeze0.onnx');
  // A file does not say with what a network once began.
  const shapes = (layers: typeof folded.layers) => layers.map(({ name, kind, outputShape }) => [name, kind, outputShape]);
  expect([classifier.classes, shapes(classifier.network.layers)]).toEqual([classes, shapes(network.layers)]);
  expect(shapes(folded.layers)).toEqual(shapes(saved.folded.layers));
  for (const { name, shape } of folded.layers.flatMap(({ parameters }) => parameters)) {
    const [own, other] = [folded.weights.get(name)!, saved.folded.weights.get(name)!];
    expect([name, own.shape, own.data]).toEqual([name, shape, Float32Array.from(other.data)]);
  }
});

test('a file that is quantized, damaged or changed is refused, with what to do', async () => {
  const { encode } = await freezeUntrained(referenceEngine, { model: 'cs231n', inputSize: 8 });
  const file = frozenFile(encode(null));
  const { metadata } = file;
  const quantization = { scheme: 'int8' } as typeof metadata.quantization;
  expect(told(() => trainedFromFrozen({ ...file, metadata: { ...metadata, quantization } }, 'q.onnx'))).toEqual({
    kind: 'DataError',
    message: 'q.onnx is quantized already (int8), for processors with ONNX Runtime',
    fix: 'give the float32 file or the run that it was made of',
  });
  const damaged = {
    kind: 'DataError',
    message: 'd.onnx is damaged, or was changed by another program after ablate wrote it',
    fix: 'freeze it again',
  };
  expect(told(() => trainedFromFrozen({ bytes: Uint8Array.of(1, 2, 3), metadata }, 'd.onnx'))).toEqual(damaged);
  const model = decodeModel(file.bytes)!;
  const without = (name: string) => ({
    ...model,
    graph: { ...model.graph, initializer: model.graph.initializer.filter((tensor) => tensor.name !== name) },
  });
  const gone = told(() => trainedFromFrozen({ bytes: encodeModel(without('conv1.weight')), metadata }, 'd.onnx'));
  expect(gone).toMatchObject({ kind: 'DataError', message: expect.stringContaining('conv1.weight') as string });
});
