/** What a file with an augmentation imports as `ablate`. It becomes part of the code that the loader's threads run: nothing else of the library is needed there. */
export { choice, count, flag, number } from '../models/settings.ts';
export { defineAugmentation } from './augmentation.ts';
