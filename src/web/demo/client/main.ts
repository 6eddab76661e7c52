/** The page: a network from the server, images from the person, and what the one says of the other. */
import { fitPicture } from '../../../data/fit-image.ts';
import { percentile } from '../../../util/percentile.ts';
import type { DemoModel } from '../protocol.ts';
import { PictureError, readPicture } from './picture.ts';
import { loadClassifier, threads, type Classifier } from './runtime.ts';
import { samples } from './samples.ts';
import {
  element,
  elementOf,
  showClasses,
  showFacts,
  showFrame,
  showModel,
  showNoPicture,
  showPictures,
  showStatus,
} from './view.ts';

/** Runs before the timed ones, and timed ones at most; fewer where they take long. */
const warmUpRuns = 3;
const timedRuns = 30;
const timedMs = 400;

interface Loaded {
  readonly model: DemoModel;
  readonly classifier: Classifier;
}

let loaded: Loaded | undefined;
/** The image now shown: classified again when the network changes. */
let current: Blob | undefined;
/** One thing at a time, in the order asked for. */
let work: Promise<void> = Promise.resolve();

function enqueue(job: () => Promise<void>): void {
  work = work.then(job).catch((error: unknown) => {
    if (error instanceof PictureError) refuse(error);
    else showStatus(`Something went wrong: ${String(error)}`, true);
  });
}

/** What was said of an image before is not said of this one. */
function refuse(error: PictureError): void {
  current = undefined;
  for (const button of element('samples').children) button.setAttribute('aria-pressed', 'false');
  showNoPicture();
  if (loaded !== undefined) showClasses(loaded.model.classes, null);
  showFacts('timing', {});
  showStatus(error.message, true);
}

async function load(model: DemoModel): Promise<void> {
  showStatus('Loading the network…');
  showModel(model);
  showClasses(model.classes, null);
  showFacts('timing', {});
  await loaded?.classifier.dispose();
  loaded = undefined;
  const response = await fetch(model.url);
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  loaded = { model, classifier: await loadClassifier(new Uint8Array(await response.arrayBuffer())) };
  const offered = offerSamples(model.classes);
  showStatus(offered > 0 ? 'Give it an image, or choose a sample.' : 'Give it an image.');
  if (current !== undefined) await classify(current, loaded);
}

async function classify(image: Blob, { model, classifier }: Loaded): Promise<void> {
  const { imageShape, inputSize, classes } = model;
  const picture = await readPicture(image, inputSize);
  const pixels = fitPicture(picture, imageShape);
  current = image;
  showPictures(image, `${picture.width}×${picture.height}`, pixels, imageShape, inputSize);
  showFrame(picture, imageShape, inputSize);
  const probabilities = await classifier.classify(pixels, imageShape);
  showClasses(classes, probabilities);
  showStatus('');
  const timesMs = await time(() => classifier.classify(pixels, imageShape));
  const milliseconds = (share: number) => `${percentile(timesMs, share).toFixed(2)} ms`;
  showFacts('timing', {
    'inference, median': milliseconds(0.5),
    '95% within': milliseconds(0.95),
    runs: String(timesMs.length),
    threads: String(threads),
  });
}

async function time(run: () => Promise<unknown>): Promise<number[]> {
  for (let i = 0; i < warmUpRuns; i++) await run();
  const timesMs: number[] = [];
  const begin = performance.now();
  while (timesMs.length < timedRuns && (timesMs.length < 3 || performance.now() - begin < timedMs)) {
    const start = performance.now();
    await run();
    timesMs.push(performance.now() - start);
  }
  return timesMs;
}

/** Classifies an image that a person gave, as a sample or otherwise. */
function give(image: Blob, sample?: HTMLButtonElement): void {
  for (const button of element('samples').children) button.setAttribute('aria-pressed', String(button === sample));
  enqueue(async () => {
    if (loaded !== undefined) await classify(image, loaded);
  });
}

/** Drawings of what the network knows. @returns how many there are */
function offerSamples(classes: readonly string[]): number {
  const known = samples.filter(({ name }) => classes.includes(name));
  const buttons = known.map(({ name, image }) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.title = `a drawing: ${name}`;
    const picture = document.createElement('img');
    picture.src = URL.createObjectURL(image);
    picture.alt = name;
    button.append(picture);
    button.setAttribute('aria-pressed', String(image === current));
    button.addEventListener('click', () => {
      give(image, button);
    });
    return button;
  });
  element('samples').replaceChildren(...buttons);
  element('samples-part').hidden = known.length === 0;
  return known.length;
}

function takeImages(): void {
  const file = elementOf(HTMLInputElement, 'file');
  const drop = element('drop');
  const first = (files: FileList | null | undefined) => {
    const chosen = files?.[0];
    if (chosen !== undefined) give(chosen);
  };
  file.addEventListener('change', () => {
    first(file.files);
    // The same file may be chosen again.
    file.value = '';
  });
  document.addEventListener('paste', (event) => {
    first(event.clipboardData?.files);
  });
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  document.addEventListener('dragleave', () => {
    drop.classList.remove('over');
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    first(event.dataTransfer?.files);
  });
}

async function start(): Promise<void> {
  takeImages();
  const models = (await (await fetch('models.json')).json()) as readonly DemoModel[];
  const select = elementOf(HTMLSelectElement, 'model');
  select.replaceChildren(...models.map((model, i) => new Option(model.file, String(i))));
  const chosen = () => models[select.selectedIndex]!;
  select.addEventListener('change', () => {
    enqueue(() => load(chosen()));
  });
  await load(chosen());
}

enqueue(start);
