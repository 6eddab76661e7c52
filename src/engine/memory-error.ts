import { ConfigurationError } from '../util/errors.ts';

/** The device has no memory for what was to be compiled: nothing of it is left. */
export class DeviceMemoryError extends ConfigurationError {}
