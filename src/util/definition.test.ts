import { expect, test } from 'vitest';
import { defineModel } from '../models/model.ts';
import { defineLayer } from '../nn/custom.ts';
import { defineAugmentation } from '../user/augmentation.ts';

const pass = () => undefined;
const layers = () => {
  throw new Error('not built here');
};

test.each<[string, () => unknown, string | RegExp]>([
  [
    'a model without layers',
    () => defineModel({ name: 'net', build: pass } as never),
    'model "net" has an unknown key "build". Allowed are name, layers, summary, settings, weightDecay2017, defaultInputSize',
  ],
  [
    'a model whose layers are none',
    () => defineModel({ name: 'net', layers: [] } as never),
    'layers (=[]) of model "net" must be a function: layers(b, settings, classes)',
  ],
  [
    'a typing mistake',
    () => defineModel({ name: 'net', layers, sumary: 'small' } as never),
    /"sumary". Did you mean "summary"\?/,
  ],
  [
    'a custom layer with a misspelt part, which would be left out',
    () => defineLayer({ name: 'gate', forward: pass, backward: pass, parameter: pass } as never),
    /custom layer "gate" has an unknown key "parameter". Did you mean "parameters"\?/,
  ],
  [
    'a part that is no function',
    () => defineLayer({ name: 'gate', forward: pass, backward: pass, parameters: 3 } as never),
    'parameters (=3) of custom layer "gate" must be a function: parameters(facts)',
  ],
  [
    'an augmentation with a key that nobody reads',
    () => defineAugmentation({ name: 'noise', apply: pass, strength: 3 } as never),
    'augmentation "noise" has an unknown key "strength". Allowed are name, apply, settings',
  ],
])('%s is refused', (_, define, message) => {
  expect(define).toThrow(message);
});
