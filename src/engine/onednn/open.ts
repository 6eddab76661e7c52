import { AblateError } from '../../util/errors.ts';
import { openThrough } from './calls.ts';
import type { Dnnl } from './dnnl.ts';
import type { NativeLibrary } from './native.ts';
import { callsV2 } from './v2.ts';
import { callsV3 } from './v3.ts';

/** Opens oneDNN for one plan of so many threads, whichever version it is. Throws AblateError for a version that is not supported. */
export function openDnnl(library: NativeLibrary, version: string, threads: number): Dnnl {
  switch (version.split('.')[0]) {
    case '2':
      return openThrough(callsV2(library), library, version, threads);
    case '3':
      return openThrough(callsV3(library), library, version, threads);
    default:
      throw new AblateError(`oneDNN ${version} is not supported: version 2 or 3 is needed`);
  }
}
