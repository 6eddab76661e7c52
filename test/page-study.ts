/** A study of nine runs, for tests of the live page. */
export const pageStudy = `name: quick-start
title: A first study of tuto
description: >
  What do augmentation and local response normalization do in the first 200 steps? A short run with three seeds for each variant.
dataset: cifar10
baseline: { model: tuto, recipe: '2017', steps: 200, evalEvery: 100 }
design: one-at-a-time
factors:
  - { name: no augmentation, set: { augment: false, inputSize: 24 } }
  - { name: no LRN, set: { model.lrn: false } }
seeds: [1, 2, 3]
hypotheses: [{ hypothesis: Augmentation is key, changes: [no augmentation], expected: worse }]
`;
