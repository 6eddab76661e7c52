import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { DeviceFigures } from '../../deploy/mcu/figures.ts';
import type { ConfigOverrides } from '../../train/config-schema.ts';
import { freezeUntrained } from '../../../test/freeze-untrained.ts';
import { writeNoiseImages } from '../../../test/noise-images.ts';
import { runInfo } from '../../../test/run-info.ts';
import { published } from '../../../test/tensorsandbox-figures.ts';
import { toldLater } from '../../../test/told.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-info-'));
afterAll(() => rmSync(folder, { recursive: true }));

const cases = Object.entries(published).flatMap(([model, { parameters, megaOperations }]) =>
  ([24, 32] as const).map((input, i) => ({
    model,
    input,
    parameters: parameters[i]!,
    megaOperations: megaOperations === null ? null : megaOperations[i]!,
  })),
);

test('tensorsandbox has thirteen models', () => {
  expect(Object.keys(published)).toHaveLength(13);
});

test.each(cases)('info $model --input $input says what tensorsandbox published', async (figures) => {
  const { model, input, parameters, megaOperations } = figures;
  const described = await runInfo(model, '--input', String(input));
  expect(described).toMatchObject({ model, input, parameters, bytes: 4 * parameters });
  if (megaOperations !== null) expect((Number(described['operations']) / 1e6).toFixed(2)).toBe(megaOperations);
});

/** The output shape of the first layer, and of the last. */
function ends({ layers }: Readonly<Record<string, unknown>>): readonly unknown[] {
  const shapes = (layers as readonly { readonly output: readonly number[] }[]).map(({ output }) => output);
  return [shapes[0], shapes.at(-1)];
}

test('a rectangle, and images of a data set with its classes', async () => {
  const square = await runInfo('resnet8', '--input', '16');
  const rectangle = await runInfo('resnet8', '--input', '16x24');
  expect([rectangle['input'], ...ends(rectangle)]).toEqual([[16, 24], [16, 16, 24], [10]]);
  expect(rectangle['parameters']).toBe(square['parameters']);
  const images = join(folder, 'images');
  writeNoiseImages(images, { train: 1, test: 1 });
  const ofData = await runInfo('resnet8', '--data', `images:${images}?size=12x20&channels=1`, '--device', 'm4');
  expect([ofData['input'], ...ends(ofData)]).toEqual([[12, 20], [16, 12, 20], [2]]);
  expect(Number(ofData['parameters'])).toBe(Number(square['parameters']) - 2 * 9 * 16 - 8 * 65);
  expect(ofData['device']).toMatchObject({ cores: [{ core: 'm4' }] });
  const smaller = await runInfo('resnet8', '--data', `images:${images}`, '--input', '24');
  expect([smaller['input'], ...ends(smaller)]).toEqual([24, [16, 24, 24], [2]]);
});

test('a trained network says itself what it is', async () => {
  const small = { model: 'squeeze0', 'conv1.filters': 8, inputSize: 16 };
  const path = join(folder, 'small.onnx');
  const freeze = async (standardization: ConfigOverrides) => {
    const frozen = await freezeUntrained(referenceEngine, { ...small, ...standardization }, ['a', 'b']);
    writeFileSync(path, frozen.encode(null));
    return frozen.metadata;
  };
  const weightBytes = async (standardization: ConfigOverrides) => {
    await freeze({ standardization: 'channel', ...standardization });
    return ((await runInfo(path, '--device', 'm4')) as { device: DeviceFigures }).device.flashBytes.weights;
  };
  // A layer of its own subtracts what is not the same for all channels: a weight, a bias and the factors of its scale for each.
  expect(await weightBytes({ 'standardization.mean': [0.1, 0.5, 0.9] })).toBe((await weightBytes({})) + 30);
  const { parameters } = await freeze({});
  expect(await runInfo(path)).toMatchObject({ model: 'squeeze0', input: 16, parameters });
  expect((await toldLater(runInfo(path, '--device', 'm4'))).message).toBe(
    "the network standardizes every image by the image's own mean and deviation, which integers on a device cannot do cheaply",
  );
  expect(await toldLater(runInfo(path, '--data', 'cifar10', '--input', '24'))).toEqual({
    kind: 'ConfigurationError',
    message: '--input and --data cannot be given for a trained network, which says itself what it is',
    fix: 'leave out --input and --data, or name the model',
  });
  expect(await toldLater(runInfo('mine/3', '--runs-dir', folder))).toMatchObject({
    kind: 'DataError',
    message: `there is no run "mine/3" in ${folder}: it holds no runs`,
  });
});
