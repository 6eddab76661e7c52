/** Networks for microcontrollers beside MLPerf Tiny's: the table of docs/microcontrollers.md. `npm run results` writes it, and a test keeps it true. */
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { markdownTable } from '../../src/report/markdown-parts.ts';
import { formatAccuracy, formatBytes } from '../../src/util/format.ts';
import { withTable } from './results-table.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const microcontrollersPath = `${root}docs/microcontrollers.md`;
const tfliteOf = (name: string) => `${root}trained_models/microcontrollers/${name}.tflite`;
const markers = { start: '<!-- mlperf: written by npm run results -->', end: '<!-- end of mlperf -->' };

/** A network of mlperf-tiny.json, which scripts/train-microcontrollers.ts writes. */
interface Trained {
  readonly class: string;
  readonly flashBytes: { readonly weights: number };
  readonly ramBytes: { readonly activations: number };
  readonly multiplyAdds: number;
  readonly n: number;
  readonly accuracy: { readonly mean: number; readonly deviation: number | null };
}

/** As the page says, which names where these figures are from. */
const references: Readonly<Record<string, readonly string[]>> = {
  small: ['ic01, ResNet-8', '85.59% (1)', '', '98.5 kB', '56.3 kB', '12.5M'],
  large: ['ic02', '91% wanted', '', '512.0 kB', '134.1 kB', '76.5M'],
};

/** docs/microcontrollers.md with the table of the records in it. @throws Error if there is no place for it */
export async function withMlperfTable(page: string): Promise<string> {
  const { classes } = JSON.parse(readFileSync(`${root}docs/results/mlperf-tiny.json`, 'utf8')) as { classes: readonly Trained[] };
  const millions = (count: number) => `${(count / 1e6).toFixed(1)}M`;
  const measured = ({ mean, deviation }: Trained['accuracy']) =>
    `${formatAccuracy(mean)}${deviation === null ? '' : ` ± ${(100 * deviation).toFixed(2)}`}`;
  const table = markdownTable({
    header: ['network', 'accuracy, integers (runs)', 'weights', '.tflite', 'RAM', 'multiply-adds'],
    alignments: ['left', 'right', 'right', 'right', 'right', 'right'],
    rows: classes.flatMap(({ class: name, flashBytes, ramBytes, multiplyAdds, n, accuracy }) => [
      references[name]!,
      [
        ...[name, `${measured(accuracy)} (${n})`, formatBytes(flashBytes.weights), formatBytes(statSync(tfliteOf(name)).size)],
        ...[formatBytes(ramBytes.activations), millions(multiplyAdds)],
      ],
    ]),
  });
  return await withTable(page, markers, table);
}
