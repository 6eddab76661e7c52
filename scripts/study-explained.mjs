/*
 * What `npm start` says under the tables of its study: how to read them, what so short a study can't say, and what to do next.
 */

/** A change is called better or worse where its corrected p-value is below this; as in src/report/tables.ts. */
const significance = 0.05;

/**
 * @param report the study's report.json
 * @returns lines of at most 80 letters
 */
export function explainStudy({ effects, variants, seeds, classes }) {
  const steps = variants[0].config.steps;
  const images = steps * variants[0].config.batchSize;
  const clear = furthest(effects.filter(({ correctedPValue }) => correctedPValue < significance));
  const open = narrowest(effects.filter(({ correctedPValue, low }) => !(correctedPValue < significance) && low !== undefined));
  const points =
    'Points are percentage points of test accuracy, the change against the baseline ' +
    `in the mean over ${seeds.length} seeds, and the interval is where the true mean difference probably lies` +
    (clear === undefined ? '.' : `: with "${clear.name}" between ${inPoints(clear.low)} and ${inPoints(clear.high)} points.`);
  const verdict =
    'The verdict is better or worse only where chance would hardly make such a difference in any of the ' +
    'comparisons, and else unresolved, which does not say that there is no effect' +
    (open === undefined
      ? '.'
      : `: the interval of "${open.name}" says how large it can still be, at most about ${largest(open).toFixed(1)} points.`);
  const limits =
    `What ${steps} steps can't say is how good a network becomes: after ${inThousands(images)} images it names one picture in ` +
    `${oneIn(variants[0].accuracy?.mean ?? 1 / classes.length)} right, and what slows its first steps, such as augmentation, may pay in a long training.`;
  return ['How to read this', ...[points, verdict, limits].flatMap((sentence) => ['', ...wrapped(sentence)])];
}

/** Commands that lead on; each is one that works after `npm start`. */
export const next = [
  ['npx ablate label trained_models/squeeze1.onnx <picture>', 'what is on a picture of yours'],
  ['npx ablate ui', 'these runs and their curves, as a page'],
  ['npx ablate study studies/tutorial-model.yaml --dry-run', 'a study of 17 changes, and how long it takes'],
];

/** `next:` with the commands, each above what it is for. */
export function nextLines() {
  return ['next:', ...next.flatMap(([command, purpose]) => [`  ${command}`, `      ${purpose}`])];
}

function furthest(effects) {
  return [...effects].sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference))[0];
}

function narrowest(effects) {
  return [...effects].sort((a, b) => a.high - a.low - (b.high - b.low))[0];
}

function largest({ low, high }) {
  return 100 * Math.max(Math.abs(low), Math.abs(high));
}

function inPoints(fraction) {
  return `${fraction > 0 ? '+' : ''}${(100 * fraction).toFixed(1)}`;
}

function inThousands(count) {
  return count.toLocaleString('en');
}

/** `2.2`: of so many pictures one is right. */
function oneIn(accuracy) {
  return (1 / accuracy).toFixed(1).replace(/\.0$/, '');
}

function wrapped(text, width = 80) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1];
    if (last !== '' && last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines;
}
