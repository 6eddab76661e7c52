/**
 * The library in a web page: `ablate/browser`. Networks, the engine on the browser's WebGPU, and training; docs/browser.md documents it. Nothing that is
 * imported from here, directly or through others, needs Node.
 */

// Networks
export { defineModel, type InputSize, type ModelDefinition, type ModelSource } from './models/model.ts';
export { modelDefinition, modelNames } from './models/registry.ts';
export { choice, count, flag, number } from './models/settings.ts';
export { buildNetwork, describeNetwork, type NetworkDescription } from './nn/description.ts';
export { countMultiplyAdds, countOperations, countParameters, NetworkBuilder, type Network, type Tensor } from './nn/network.ts';
export { networkTable } from './nn/table.ts';

// Images
export type { ImageSet, Labels } from './data/dataset.ts';
export { generatePageImages, type PageImagesOptions } from './data/page-images.ts';

// Engines
export type { Engine, InferencePlan, TrainingPlan } from './engine/engine.ts';
export { referenceEngine } from './engine/reference/engine.ts';
export { openPageEngine } from './engine/webgpu/page.ts';

// Training
export type { Classifier } from './train/classifier.ts';
export type { ConfigOverrides, TrainingConfig } from './train/config-schema.ts';
export {
  trainInPage,
  type PageDataset,
  type PageEvaluation,
  type PageTrainingOptions,
  type PageTrainingResult,
} from './train/page-training.ts';
export { DivergenceError } from './train/trainer.ts';

// Errors
export { AblateError, ConfigurationError, DataError } from './util/errors.ts';
