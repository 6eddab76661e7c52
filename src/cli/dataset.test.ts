import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { told } from '../../test/told.ts';
import { datasetOf } from './dataset.ts';

test('the data set that the user names, or that a network was trained on', () => {
  expect(datasetOf('net.onnx', 'images', { data: 'cifar10' })).toBe('cifar10');
  expect(datasetOf('net.onnx', 'cifar10', {})).toBe('cifar10');
  expect(datasetOf('net/1', `images:${tmpdir()}?size=24`, {})).toBe(`images:${tmpdir()}?size=24`);
  expect(datasetOf('net/1', 'images:no photos', { data: 'images:photos' })).toBe('images:photos');
});

test('a folder of images that is not there from here is told with where it was looked for', () => {
  expect(told(() => datasetOf('net/1', 'images:no photos?size=24', {}))).toEqual({
    kind: 'ConfigurationError',
    message: `net/1 was trained on images:no photos?size=24, and from here there is no folder ${resolve('no photos')}`,
    fix: 'say where it is: --data images:<folder>',
  });
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
