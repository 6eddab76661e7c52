/** Writes everything anew that is made from the records, after one of them was changed: `npm run results`. */
import { readFileSync } from 'node:fs';
import { bestAccuraciesPath, withBestAccuracies } from '../bench/records/best-accuracies.ts';
import { drawFigure, figurePaths, readmePath, withModelsTable } from '../bench/records/first-screen.ts';
import { compressionPath, withLatencyTable } from '../bench/records/latency-table.ts';
import { microcontrollersPath, withMlperfTable } from '../bench/records/mlperf-table.ts';
import { performancePath, withPerformanceTables } from '../bench/records/performance-tables.ts';
import { reproductionPath, withResultsTable } from '../bench/records/results-table.ts';
import { recordedStudies } from '../bench/records/studies.ts';
import { writeReport } from '../src/report/write-report.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';

const files = [
  [readmePath, withModelsTable],
  [reproductionPath, withResultsTable],
  [performancePath, withPerformanceTables],
  [compressionPath, withLatencyTable],
  [microcontrollersPath, withMlperfTable],
  [bestAccuraciesPath, withBestAccuracies],
] as const;
for (const [path, rewritten] of files) writeFileAtomic(path, await rewritten(readFileSync(path, 'utf8')));
const figure = await drawFigure();
writeFileAtomic(figurePaths.light, figure.light);
writeFileAtomic(figurePaths.dark, figure.dark);
for (const { data, folder } of recordedStudies()) await writeReport(data, folder);
