/** The trainings that bench/live-page.ts has a page follow, in a process of their own: what it measures must not keep them from writing. */
import { appendFileSync } from 'node:fs';
import { metricsLine } from '../test/recorded-runs.ts';

/** The step of the first record, steps between records, and the metrics file of each run. */
const [first, every, ...files] = process.argv.slice(2) as [string, string, ...string[]];
const tickMs = 5;
let written = 0;
let timer: NodeJS.Timeout | undefined;

/** Records a second of each run, which write one after the other, as runs that know nothing of each other do; 0 stops. */
process.on('message', (recordsPerSecond: number) => {
  clearInterval(timer);
  if (recordsPerSecond === 0) return;
  const began = performance.now();
  const before = written;
  timer = setInterval(() => {
    const due = before + ((performance.now() - began) / 1000) * recordsPerSecond * files.length;
    for (; written < due; written++) appendFileSync(files[written % files.length]!, record(Math.floor(written / files.length)));
  }, tickMs);
});

function record(number: number): string {
  const metrics = { 'train/loss': 0.5 + Math.random(), 'train/learningRate': 0.1, 'train/imagesPerSecond': 1000 };
  return metricsLine(Number(first) + number * Number(every), metrics);
}
