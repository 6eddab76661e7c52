/**
 * The first screen of README, from the networks in trained_models/ and the records under docs/results/: a table of the trained models, and a figure
 * of accuracy against operations, in light and in dark colours. `npm run results` writes them, and a test keeps them true.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { markdownTable } from '../../src/report/markdown-parts.ts';
import { renderSvg, type TopLevelSpec } from '../../src/report/render.ts';
import { darkColours, lightColours, type ColourName } from '../../src/report/theme.ts';
import { formatBytes, formatCount } from '../../src/util/format.ts';
import { readLatencies } from './latency-table.ts';
import { deployedCosts, percent, published300k, withTable } from './results-table.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const readmePath = `${root}README.md`;
export const figurePaths = {
  light: `${root}docs/images/accuracy-operations.svg`,
  dark: `${root}docs/images/accuracy-operations-dark.svg`,
} as const;
const markers = { start: '<!-- models: written by npm run results -->', end: '<!-- end of models -->' };

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(`${root}${path}`, 'utf8'));
}

interface Trained {
  readonly testAccuracy: number;
  readonly config: { readonly model: string; readonly inputSize: number };
}

interface Row {
  readonly model: string;
  readonly parameters: number;
  readonly operations: number;
  readonly bytes: number;
  readonly latencyMs: number | undefined;
  /** Fractions of the test images. */
  readonly then: number | undefined;
  readonly now: number;
}

/** Those that come with ablate, by what they compute. */
function rows(): readonly Row[] {
  const latencies = readLatencies('quantized-latency');
  const files = readdirSync(`${root}trained_models`).filter((file) => file.endsWith('.json'));
  return files
    .map((file) => {
      const { testAccuracy, config } = readJson(`trained_models/${file}`) as Trained;
      const { model, inputSize } = config;
      const then = published300k[model];
      return {
        model,
        ...deployedCosts(model, inputSize),
        bytes: statSync(`${root}trained_models/${model}.onnx`).size,
        latencyMs: latencies.find((each) => each.model === model && each.threads === 1)?.float32.latencyMs.p50,
        then: then === undefined ? undefined : then / 100,
        now: testAccuracy,
      };
    })
    .sort((a, b) => a.operations - b.operations);
}

/** README with the table of the records in it. @throws Error if there is no place for it */
export async function withModelsTable(readme: string): Promise<string> {
  const table = markdownTable({
    header: ['model', 'parameters', 'operations', 'file', 'latency', 'accuracy 2017', 'accuracy here'],
    alignments: ['left', 'right', 'right', 'right', 'right', 'right', 'right'],
    rows: rows().map(({ model, parameters, operations, bytes, latencyMs, then, now }) => [
      ...[model, formatCount(parameters), `${(operations / 1e6).toFixed(1)}M`, formatBytes(bytes)],
      latencyMs === undefined ? '' : `${latencyMs.toFixed(2)} ms`,
      then === undefined ? '' : percent(then),
      percent(now),
    ]),
  });
  return await withTable(readme, markers, table);
}

/** Accuracy against operations, as SVG documents. */
export async function drawFigure(): Promise<Readonly<Record<keyof typeof figurePaths, string>>> {
  const light = await renderSvg({
    name: 'accuracy-operations',
    title: 'Accuracy against operations',
    description: 'Test accuracy of trained models against the operations that one image takes, in 2017 and here.',
    spec: figureSpec(),
  });
  const names = Object.keys(lightColours) as ColourName[];
  const dark = names.reduce((svg, name) => svg.replaceAll(lightColours[name], darkColours[name]), light);
  return { light: `${light}\n`, dark: `${dark}\n` };
}

const series = { then: 'tensorsandbox, 2017: 300,000 steps', now: 'here: at most 40,000 steps' } as const;

/** Above its point, but for two that are near each other. */
function labelPlace(model: string): object {
  if (model === 'alex4') return { align: 'right', dx: -10, dy: -4 };
  if (model === 'tuto') return { align: 'left', dx: 10, dy: 4 };
  return { dy: -13 };
}

function figureSpec(): TopLevelSpec {
  const points = rows().flatMap(({ model, operations, then, now }) => [
    { model, operations: operations / 1e6, accuracy: 100 * now, series: series.now },
    ...(then === undefined ? [] : [{ model, operations: operations / 1e6, accuracy: 100 * then, series: series.then }]),
  ]);
  const x = {
    field: 'operations',
    type: 'quantitative',
    scale: { type: 'log', domain: [16, 400] },
    axis: { title: 'million operations an image (each multiply-add counts two)', values: [20, 50, 100, 200, 400] },
  };
  const y = {
    field: 'accuracy',
    type: 'quantitative',
    scale: { domain: [86, 95], zero: false },
    axis: { title: 'accuracy on the test images of CIFAR-10, %', tickCount: 9 },
  };
  const colour = {
    field: 'series',
    type: 'nominal',
    scale: { domain: [series.now, series.then], range: [lightColours.accent, lightColours.reference] },
    legend: { title: null, labelFontSize: 12, labelLimit: 0, symbolType: 'circle', symbolOpacity: 1, padding: 4 },
  };
  return {
    background: 'transparent',
    width: 640,
    height: 250,
    data: { values: points },
    encoding: { x, y },
    layer: [
      // Those of here last, above the others.
      ...[series.then, series.now].map((name) => ({
        transform: [{ filter: { field: 'series', equal: name } }],
        mark: { type: 'point', filled: true, size: 90, opacity: 1 },
        encoding: { color: colour },
      })),
      ...points
        .filter(({ series: of }) => of === series.now)
        .map(({ model }) => ({
          transform: [{ filter: { field: 'model', equal: model } }, { filter: { field: 'series', equal: series.now } }],
          mark: { type: 'text', fontSize: 12, color: lightColours.text, ...labelPlace(model) },
          encoding: { text: { field: 'model' } },
        })),
    ],
  } as unknown as TopLevelSpec;
}
