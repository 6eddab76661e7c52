/** Images that a person gives, as a frozen file takes them. */
import { fitPicture } from '../data/fit-image.ts';
import { readPicture } from '../data/read-picture.ts';
import { imageShapeOf, type FrozenMetadata } from './metadata.ts';

/**
 * Reads a picture and scales it to what the model was trained on, as the images of a folder are for training.
 *
 * @returns `[H, W, C]` bytes of `imageShapeOf`: a colour picture becomes grey for a network of grey images
 * @throws as `readPicture`, also for a picture that is smaller than the model's input
 */
export async function readImage(
  path: string,
  metadata: Pick<FrozenMetadata, 'imageSize' | 'inputSize' | 'network'>,
): Promise<Uint8Array> {
  return fitPicture(await readPicture(path, metadata.inputSize), imageShapeOf(metadata));
}
