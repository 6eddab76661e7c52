/** Images that a person gives, as a frozen file takes them. */
import { fitToSquare } from '../data/fit-image.ts';
import { readPicture } from '../data/read-picture.ts';
import type { FrozenMetadata } from './metadata.ts';

/**
 * Reads a picture and scales it to what the model was trained on, as the images of a folder are for training.
 *
 * @returns `[imageSize, imageSize, 3]` bytes
 * @throws as `readPicture`, also for a picture that is smaller than the model's input
 */
export async function readImage(
  path: string,
  { imageSize, inputSize }: Pick<FrozenMetadata, 'imageSize' | 'inputSize'>,
): Promise<Uint8Array> {
  return fitToSquare(await readPicture(path, inputSize), imageSize);
}
