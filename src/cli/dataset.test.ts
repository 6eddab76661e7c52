import { expect, test } from 'vitest';
import { told } from '../../test/told.ts';
import { datasetOf } from './dataset.ts';

test('the data set that the user names, or that a network was trained on', () => {
  expect(datasetOf('net.onnx', 'images', { data: 'cifar10' })).toBe('cifar10');
  expect(datasetOf('net.onnx', 'cifar10', {})).toBe('cifar10');
  expect(datasetOf('net/1', 'images:photos', {})).toBe('images:photos');
});

test("images of the user's own, of which a frozen file does not say where they are", () => {
  expect(told(() => datasetOf('net.onnx', 'images', {}))).toEqual({
    kind: 'ConfigurationError',
    message: 'net.onnx was trained on a folder of images, and files do not say where that is',
    fix: 'say where: --data images:<folder>',
  });
  expect(told(() => datasetOf('net.onnx', 'file', {}))).toEqual({
    kind: 'ConfigurationError',
    message: 'net.onnx was trained on a data file, and files do not say where that is',
    fix: 'say where: --data <file>',
  });
});
