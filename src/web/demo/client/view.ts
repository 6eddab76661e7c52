/** What is shown, and nothing of how it comes about. */
import type { DemoModel } from '../protocol.ts';

/** The element with an id, which index.html has. */
export function element(id: string): HTMLElement {
  return elementOf(HTMLElement, id);
}

/** The element with an id, which index.html has, and which is of the given class there. */
export function elementOf<T extends HTMLElement>(kind: new () => T, id: string): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} "${id}"`);
  return found;
}

/** Bars for all classes, the most probable first. `null` stands for not known yet. */
export function showClasses(classes: readonly string[], probabilities: Float32Array | null): void {
  const rows = classes
    .map((name, i) => ({ name, probability: probabilities?.[i] ?? 0 }))
    .sort((a, b) => b.probability - a.probability)
    .map(({ name, probability }) => {
      const row = document.createElement('li');
      row.dataset['class'] = name;
      if (probabilities !== null) row.dataset['probability'] = String(probability);
      const bar = child('div', 'bar');
      bar.style.width = `${100 * probability}%`;
      const track = child('div', 'track');
      track.append(bar);
      const value = probabilities === null ? '' : `${(100 * probability).toFixed(1)}%`;
      row.append(child('span', 'name', name), track, child('span', 'value', value));
      return row;
    });
  element('classes').replaceChildren(...rows);
}

function child(tag: 'span' | 'div', className: string, text = ''): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** A line about the state; an error is marked as such. */
export function showStatus(text: string, isError = false): void {
  const status = element('status');
  status.textContent = text;
  status.classList.toggle('error', isError);
}

/** Terms and values, side by side. */
export function showFacts(id: 'facts' | 'timing', facts: Readonly<Record<string, string>>): void {
  const pairs = Object.entries(facts).map(([term, value]) => {
    const pair = document.createElement('div');
    const name = document.createElement('dt');
    name.textContent = term;
    const description = document.createElement('dd');
    description.textContent = value;
    pair.append(name, description);
    return pair;
  });
  element(id).replaceChildren(...pairs);
}

export function showModel(model: DemoModel): void {
  const { accuracy, parameters, operations, sizeBytes, imageShape } = model;
  const [height, width] = model.inputSize;
  showFacts('facts', {
    ...(accuracy !== null && { 'test accuracy': `${(100 * accuracy).toFixed(2)}%` }),
    parameters: parameters.toLocaleString('en-US'),
    'operations an image': `${(operations / 1e6).toFixed(1)} million`,
    file: `${(sizeBytes / 1e6).toFixed(2)} MB`,
    input: `${width}×${height} pixels${imageShape[0] === 1 ? ', grey' : ''}`,
    ...(model.run !== null && { run: model.run }),
  });
}

let shownUrl: string | undefined;

/** The part of the image that is scaled for the network, and the part of it that the network sees, in fractions of the image's sides. */
export function showFrame(
  { width, height }: Size,
  [, imageHeight, imageWidth]: DemoModel['imageShape'],
  seen: DemoModel['inputSize'],
): void {
  const scale = Math.min(width / imageWidth, height / imageHeight);
  const [seenHeight, seenWidth] = [seen[0] * scale, seen[1] * scale];
  const frame = element('frame');
  // The image is centred in a square, its longer side as long as the square's.
  const square = Math.max(width, height);
  frame.style.width = `${(100 * seenWidth) / square}%`;
  frame.style.height = `${(100 * seenHeight) / square}%`;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The image as it was given, and the pixels of it that the network sees: the central `[height, width]` of `pixels` `[H, W, C]` of `imageShape`. */
export function showPictures(
  image: Blob,
  dimensions: string,
  pixels: Uint8Array,
  [channels, imageHeight, imageWidth]: DemoModel['imageShape'],
  [height, width]: DemoModel['inputSize'],
): void {
  if (shownUrl !== undefined) URL.revokeObjectURL(shownUrl);
  shownUrl = URL.createObjectURL(image);
  elementOf(HTMLImageElement, 'preview').src = shownUrl;
  element('preview-caption').textContent = dimensions;
  const canvas = elementOf(HTMLCanvasElement, 'seen');
  canvas.width = width;
  canvas.height = height;
  const seen = new ImageData(width, height);
  const top = Math.floor((imageHeight - height) / 2);
  const left = Math.floor((imageWidth - width) / 2);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const source = channels * ((y + top) * imageWidth + x + left);
      const [red, green, blue] = [0, 1, 2].map((colour) => pixels[source + (channels === 1 ? 0 : colour)]!);
      seen.data.set([red!, green!, blue!, 255], 4 * (y * width + x));
    }
  }
  canvas.getContext('2d')!.putImageData(seen, 0, 0);
  element('seen-caption').textContent = `the network sees ${width}×${height}`;
  element('pictures').hidden = false;
}

/** Nothing is shown of an image before: what was given cannot be read. */
export function showNoPicture(): void {
  if (shownUrl !== undefined) URL.revokeObjectURL(shownUrl);
  shownUrl = undefined;
  elementOf(HTMLImageElement, 'preview').removeAttribute('src');
  element('pictures').hidden = true;
}
