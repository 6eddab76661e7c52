/**
 * Network in Network (Lin et al., 2014): blocks of one spatial convolution and two 1x1 ones, with a filter per class and an average
 * in place of dense layers.
 */
import { defineModel, type ModelDefinition } from './model.ts';
import { count, type NumberSetting } from './settings.ts';
import {
  averagingHead,
  averagingSettings,
  commonSettings,
  convolution,
  dropout,
  dropoutRate,
  kernelSetting,
  overlappingPool,
} from './vocabulary.ts';

/** A spatial convolution and two of 1x1. The last of a network has a filter per class, and no number here. */
interface Block {
  readonly kernel: number;
  readonly filters: readonly [number, number, number?];
}

interface NinDefaults {
  readonly name: string;
  readonly summary: string;
  readonly blocks: readonly Block[];
  /** Dropout after each pool. Default 0. */
  readonly dropout?: number;
}

/** The convolutions are numbered through: block 1 has conv1, conv2 and conv3. */
function nin({ name, summary, blocks, dropout: defaultRate = 0 }: NinDefaults): ModelDefinition {
  const numbers: Record<string, NumberSetting> = {};
  blocks.forEach(({ kernel, filters }, block) => {
    Object.assign(numbers, kernelSetting(`conv${3 * block + 1}`, kernel));
    filters.forEach((defaultCount, i) => {
      const conv = `conv${3 * block + i + 1}`;
      if (defaultCount !== undefined) numbers[`${conv}.filters`] = count(defaultCount, `filters of ${conv}`);
    });
  });
  return defineModel({
    name,
    summary,
    settings: {
      ...commonSettings,
      ...numbers,
      dropout: dropoutRate(defaultRate, 'dropout after each pool'),
      ...averagingSettings,
    },
    layers(b, settings, classes) {
      // The settings that `numbers` declares, which the compiler cannot name.
      const number = (setting: string) => (settings as Readonly<Record<string, unknown>>)[setting] as number;
      let x = b.input;
      blocks.forEach(({ filters }, block) => {
        if (block > 0) {
          x = overlappingPool(b, `pool${block}`, x);
          x = dropout(b, `dropout${block}`, x, settings.dropout);
        }
        filters.forEach((_, i) => {
          const conv = `conv${3 * block + i + 1}`;
          const kernel = i === 0 ? number(`${conv}.kernel`) : 1;
          x = convolution(b, conv, x, { filters: number(`${conv}.filters`), kernel }, settings);
        });
      });
      return averagingHead(b, `conv${3 * blocks.length}`, x, settings, classes);
    },
  });
}

export const ninFamily: readonly ModelDefinition[] = [
  nin({
    name: 'nin0',
    summary: 'Network in Network with two blocks of 64 filters',
    blocks: [
      { kernel: 5, filters: [64, 64, 64] },
      { kernel: 5, filters: [64, 64] },
    ],
  }),
  nin({
    name: 'nin1',
    summary: 'nin0 with 96 filters in the 1x1 convolutions of the first block',
    blocks: [
      { kernel: 5, filters: [64, 96, 96] },
      { kernel: 5, filters: [64, 64] },
    ],
  }),
  nin({
    name: 'nin2',
    summary: "Network in Network as published, with dropout: tensorsandbox's most accurate and most expensive",
    blocks: [
      { kernel: 5, filters: [192, 160, 96] },
      { kernel: 5, filters: [192, 192, 192] },
      { kernel: 3, filters: [192, 192] },
    ],
    dropout: 0.5,
  }),
];
