/**
 * An augmentation of your own: what is done to each training image, each time that it is seen. Try it, then change it:
 *
 *     npx ablate train tuto --augment-with FILE
 *     npx ablate train tuto --augment-with FILE --set augmentWith.noise=20    with another setting; a study can vary them too
 *     npx ablate train tuto --augment-with FILE --no-augment                  without the crops and flips of the recipe
 *
 * Evaluations see the images as they are.
 */
import { defineAugmentation, number } from 'ablate';

export default defineAugmentation({
  name: 'NAME',
  settings: {
    gray: number(0.2, 'probability that an image loses its colours', { min: 0, max: 1 }),
    noise: number(8, 'standard deviation of the noise that is added, of 255', { min: 0 }),
  },
  /**
   * @param image `pixels` are those of the first channel, row after row, then those of the next: pixel (y, x) of channel c is
   *   pixels[(c * height + y) * width + x], from 0 to 255. Change them in place, or return a Float32Array of as many.
   * @param random Draws that are the same for the same seed, epoch and image. Draw from nothing else, so that a run can be repeated and resumed.
   */
  apply({ pixels, channels, height, width }, random, { gray, noise }) {
    if (random.chance(gray)) {
      const plane = height * width;
      for (let i = 0; i < plane; i++) {
        let mean = 0;
        for (let c = 0; c < channels; c++) mean += pixels[c * plane + i]! / channels;
        for (let c = 0; c < channels; c++) pixels[c * plane + i] = mean;
      }
    }
    const deviation = random.uniform(0, noise);
    for (let i = 0; i < pixels.length; i++) pixels[i]! += random.normal(0, deviation);
  },
});
