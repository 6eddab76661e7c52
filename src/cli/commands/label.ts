import type { Command } from 'commander';
import type { Labelled } from '../../deploy/label.ts';
import { AblateError, DataError, messageOf } from '../../util/errors.ts';
import { formatCounted, formatMilliseconds } from '../../util/format.ts';
import { requireFrozenFile } from '../frozen-files.ts';
import { integer, jsonOption, parseThreads } from '../options.ts';
import { note, print, printTable, printJson, styles } from '../output.ts';

interface Options {
  readonly top: number;
  readonly runs: number;
  readonly threads: number;
  readonly json?: true;
}

export function addLabelCommand(program: Command): void {
  program
    .command('label')
    .description('classify images with a frozen network, and time it')
    .argument('<model.onnx>', 'a file that `ablate freeze` wrote')
    .argument('<image...>', 'PNG, JPEG or WebP files, or folders of them')
    .option('--top <n>', 'classes shown', integer(1), 5)
    .option('--runs <n>', 'timed runs of the network for each image, after the warm-up', integer(1, 1_000_000), 20)
    .option('--threads <n>', 'threads of ONNX Runtime', parseThreads, 1)
    .option(...jsonOption)
    .action(labelImages);
}

async function labelImages(modelPath: string, paths: string[], options: Options): Promise<void> {
  const { openFrozenModel } = await import('../../deploy/frozen-model.ts');
  const { imageFiles, labelImage } = await import('../../deploy/label.ts');
  requireFrozenFile(modelPath);
  const files = imageFiles(paths, note);
  const model = await openFrozenModel(modelPath, { threads: options.threads });
  const labelled: Labelled[] = [];
  const failures: unknown[] = [];
  try {
    for (const file of files) {
      try {
        const result = await labelImage(model, file, options);
        labelled.push(result);
        if (options.json !== true) printLabelled(result);
      } catch (error) {
        // One bad image among many does not stop the others.
        if (files.length === 1 || !(error instanceof AblateError)) throw error;
        failures.push(error);
        note(messageOf(error));
      }
    }
  } finally {
    await model.session.dispose();
  }
  if (options.json === true) printJson(labelled);
  else print(`${formatCounted(options.runs, 'run')} an image, ${formatCounted(options.threads, 'thread')}, ONNX Runtime`);
  if (failures.length > 0) {
    throw new DataError(`${failures.length} of ${files.length} images could not be classified`, { fix: 'see the lines above' });
  }
}

function printLabelled({ image, top, inferenceMs, inferenceP95Ms }: Labelled): void {
  print(styles(process.stdout).bold(image));
  const rows = top.map(({ label, probability }) => [`  ${label}`, `${(100 * probability).toFixed(2)}%`]);
  printTable(rows, ['left', 'right']);
  print(`  ${formatMilliseconds(inferenceMs)} (95% within ${formatMilliseconds(inferenceP95Ms)})`);
  print('');
}
