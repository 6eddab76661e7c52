import { expect, test } from 'vitest';
import { ConfigurationError } from '../util/errors.ts';
import { loadNamedDataset as loadDataset } from './registry.ts';

test.each(['cifar', 'CIFAR10', 'images', 'images:', 'synthetic:', 'cifar10:x', '', 'toString'])(
  'refuses %j and lists what is allowed',
  async (name) => {
    const error = await loadDataset(name).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect((error as Error).message).toContain(
      `data set (=${name}) must be one of cifar10, cifar100, mnist, fashion-mnist, synthetic, images:<folder>, or a file (data.ts).`,
    );
  },
);

test('suggests the name that was meant', async () => {
  await expect(loadDataset('cifar-10')).rejects.toThrow('Did you mean "cifar10"?');
});
