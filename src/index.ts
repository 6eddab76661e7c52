/**
 * The library: what is exported here is documented in docs/api.md and promised; everything else may change. Nothing here prints or ends the
 * process: progress is told to callbacks, an AbortSignal stops, and errors for the user are an AblateError.
 */
export { defineModel, type ModelDefinition, type ModelSource } from './models/model.ts';
export { choice, count, flag, number, type Setting, type Settings } from './models/settings.ts';
export { NetworkBuilder, type Network, type Tensor } from './nn/network.ts';
export { AblateError, ConfigurationError, DataError } from './util/errors.ts';
