import { AblateError } from '../util/errors.ts';

/** The device is gone, or refuses to go on: nothing is wrong with a training up to its last checkpoint, from which it may be continued. */
export class DeviceError extends AblateError {}
