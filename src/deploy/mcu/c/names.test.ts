import { expect, test } from 'vitest';
import { ConfigurationError } from '../../../util/errors.ts';
import { identifiersOf, requireIdentifier } from './names.ts';

test.each(['a', 'Z', 'resnet8', 'fire_1', 'mains', 'Register', 'x'.repeat(60)])('%o is a name', (name) => {
  expect(() => requireIdentifier(name)).not.toThrow();
});

test.each(['', '8resnet', '_net', 'my net', 'net ', ' net', 'net\n', '\nnet', 'net-8', 'naïve', 'x'.repeat(61)])(
  '%o is no name',
  (name) => {
    const what = 'a letter, then letters, digits and "_", at most 60 in all';
    expect(() => requireIdentifier(name)).toThrow(
      new ConfigurationError(`name (=${name}) must be an identifier in C: ${what}`, { fix: 'give another with --name' }),
    );
  },
);

test.each(['register', 'class', 'main', 'Main'])('%s has a meaning of its own', (name) => {
  const message = `name (=${name}) must be an identifier in C: a word that C and C++ leave free`;
  expect(() => requireIdentifier(name)).toThrow(new ConfigurationError(message, { fix: 'give another with --name' }));
});

test('names of layers become different identifiers', () => {
  const names = ['fire1/squeeze', 'conv-1', 'fire1-squeeze', 'fire1_squeeze', 'fire1_squeeze_2', 'conv1'];
  expect([...identifiersOf(names)]).toEqual([
    ['fire1/squeeze', 'fire1_squeeze'],
    ['conv-1', 'conv_1'],
    ['fire1-squeeze', 'fire1_squeeze_2'],
    ['fire1_squeeze', 'fire1_squeeze_3'],
    ['fire1_squeeze_2', 'fire1_squeeze_2_2'],
    ['conv1', 'conv1'],
  ]);
});
