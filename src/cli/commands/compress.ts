import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Compressed, Stopped } from '../../compress/pipeline.ts';
import { defaultRounds, type CompressTargets } from '../../compress/rounds.ts';
import type { Dataset } from '../../data/dataset.ts';
import type { Device } from '../../deploy/mcu/cores.ts';
import type { Engine } from '../../engine/engine.ts';
import type { CompressionData } from '../../report/compression-data.ts';
import type { ConfigOverrides, TrainingConfig } from '../../train/config-schema.ts';
import { defaultThreads, threadsAsRecorded } from '../../util/cpu.ts';
import { AblateError } from '../../util/errors.ts';
import { frozenFileName, requireFrozenName } from '../../util/file-names.ts';
import { formatBytes } from '../../util/format.ts';
import { bytesFor } from '../../util/gzip.ts';
import { jsonObjectAt } from '../../util/json-file.ts';
import { mostSteps } from '../../util/largest.ts';
import { quoted } from '../../util/shell.ts';
import { compressionDisplay } from '../compression-display.ts';
import { addDataOptions, datasetOf, loadImages, type DataOptions } from '../dataset.ts';
import { engineOption, openChosen, type EngineOption } from '../engine.ts';
import { Interruption } from '../errors.ts';
import { interruptible } from '../interrupt.ts';
import { uiOption, withLivePage, type UiOption } from '../live-page.ts';
import {
  integer,
  jsonOption,
  parseAssignment,
  parseBytes,
  parseLatency,
  parseNumber,
  parseThreads,
  runsDirOption,
  type Assignments,
  type Latency,
} from '../options.ts';
import { existingFrozenFile } from '../existing-file.ts';
import { claimOutput, claimReport, forceOption } from '../output-file.ts';
import { print, printTable, printJson } from '../output.ts';
import { readReference } from '../saved-model.ts';
import { shortPath } from '../training-display.ts';

interface Options extends DataOptions, EngineOption, UiOption {
  readonly operations?: number;
  readonly bytes?: number;
  readonly latency?: Latency;
  readonly flash?: number;
  readonly ram?: number;
  readonly maxDrop?: number;
  readonly shrink: number;
  readonly rounds: number;
  readonly steps: number;
  readonly set: Assignments;
  readonly output?: string;
  readonly report?: string;
  readonly force?: true;
  readonly model?: string;
  readonly threads?: number;
  readonly runsDir: string;
  readonly json?: true;
}

export function addCompressCommand(program: Command): void {
  const command = program
    .command('compress')
    .description('make a trained network fit limits: remove filters, train, quantize and measure, in rounds, to one ONNX file')
    .argument('<run|file>', 'a run (its folder, <model>/<number>, or <model> for the newest) or a safetensors file')
    .option('--operations <part>', 'largest part of the operations to leave, in (0, 1)', parseNumber)
    .option('--bytes <n>', 'largest size of the file: 96000, 96kB, 1.5MB or 64k', parseBytes)
    .option(
      '--latency <ms>',
      'longest median time of one image in ONNX Runtime with one thread, in ms; or predicted: 100ms@m4, 80ms@m7@216',
      parseLatency,
    )
    .option('--flash <bytes>', 'most flash on a microcontroller, code included: 64k, 100kB, 1M, 96KiB', parseBytes)
    .option('--ram <bytes>', 'RAM that it takes on a microcontroller: 48k', parseBytes)
    .option('--max-drop <points>', 'most accuracy lost on validation images; alone: as small as that allows', parseNumber)
    .option('--shrink <part>', 'part of the operations that each round leaves, in (0, 1)', parseNumber, defaultRounds.shrink)
    .option('--rounds <n>', 'rounds at most', parseNumber, defaultRounds.rounds)
    .option('--steps <n>', 'steps of training in each round', integer(1, mostSteps), 1000)
    .option('--set <key=value>', 'change a key of the configuration for this training; may be repeated', parseAssignment, {})
    .option('--model <name|file>', 'model of the file, where it does not say')
    .option('-o, --output <file.onnx>', 'where to write; .onnx.gz compresses (default: <model>.small.onnx)')
    .option(...forceOption)
    .option('--report <folder>', 'folder of the report (default: beside the output, <output without its ending>-report)')
    .option(...engineOption)
    .option('--threads <n>', 'threads (default: as it was trained)', parseThreads);
  addDataOptions(command)
    .option(...uiOption)
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(compressModel);
}

async function compressModel(given: string, options: Options): Promise<void> {
  const { shrink, rounds, steps, runsDir, model } = options;
  const { targets, device } = await targetsOf(options);
  const { requireTargets } = await import('../../compress/rounds.ts');
  requireTargets(targets, { shrink, rounds });
  const { sourceReference } = await import('../../compress/round-runs.ts');
  const reference = sourceReference(given, runsDir);
  const { saved: source } = await readReference(reference, { runsDir, model });
  const file = options.output ?? `${source.config.model}.small.onnx`;
  requireFrozenName(file);
  const report = options.report ?? `${file.replace(frozenFileName, '')}-report`;
  const existing = await existingFrozenFile(file, () => isReported(file, report, reference));
  const output = claimOutput(file, { source: given, what: 'compress', force: options.force === true, existing });
  claimReport(report, { record: 'compress.json', key: 'source', of: reference, force: options.force === true });
  const overrides = { ...(options.threads !== undefined && { threads: options.threads }), ...options.set };
  const dataset = await loadImages(datasetOf(reference, source.config.dataset, options), options);
  const { compress } = await import('../../compress/pipeline.ts');
  const engine = await openChosen(options, options.threads ?? threadsAsRecorded(source.config.threads));
  const { hooks, finish } = compressionDisplay(engine);
  const threads = options.threads ?? defaultThreads();
  const work = {
    source,
    reference,
    targets,
    device,
    shrink,
    rounds,
    steps,
    overrides,
    engine,
    dataset,
    threads,
    hooks,
  };
  const result = await withLivePage(options, runsDir, () =>
    interruptible('stopping after this step, and saving', (signal) =>
      compress({ ...work, runsFolder: runsDir, signal }).finally(finish),
    ),
  );
  if ('stopped' in result) throw interruption(result, steps);
  const { writeCompressionReport } = await import('../../report/compression-report.ts');
  const content = bytesFor(file, result.file);
  const command = await commandLine(given, reference);
  const about = {
    file,
    content,
    reference,
    config: source.config,
    dataset,
    overrides,
    targets,
    device,
    steps,
    shrink,
    command,
    engine,
  };
  const data = await gather(result, about);
  const written = await writeCompressionReport(data, report);
  // Last: whoever repeats the command after an interruption is not told that its result exists.
  output.write(content);
  if (options.json === true) printJson({ ...data, report: written.html });
  else await printReport(data, content.length, shortPath(written.html));
  const failure = await failureOf(data);
  if (failure !== undefined) throw failure;
}

/** A file does not say which network its rounds began with; its report does. */
function isReported(file: string, report: string, reference: string): boolean {
  const record = jsonObjectAt(join(report, 'compress.json')) as Partial<CompressionData> | undefined;
  return record?.source === reference && record.fileChecksum === checksumOf(readFileSync(file));
}

function checksumOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function interruption({ stopped: { round, run, step } }: Stopped, steps: number): Interruption {
  const where =
    run === undefined
      ? `stopped before round ${round}; what is trained is saved`
      : `stopped in round ${round} after step ${step!} of ${steps}, which is saved in ${shortPath(run.path)}`;
  return new Interruption(where, { fix: 'the same command continues' });
}

async function targetsOf({ operations, bytes, latency, flash, ram, maxDrop }: Options) {
  const { parseDevice } = await import('../../deploy/mcu/cores.ts');
  const device = latency?.device === undefined ? undefined : parseDevice(latency.device);
  const targets: CompressTargets = {
    ...{ operations, bytes, flashBytes: flash, ramBytes: ram, maxDrop },
    latencyMs: device === undefined ? latency?.ms : undefined,
    deviceMs: device === undefined ? undefined : latency?.ms,
  };
  return { targets, device };
}

/** The command as it was given, but for a name that may mean another run later, and for what is secret in addresses. */
async function commandLine(given: string, reference: string): Promise<string> {
  const { withoutSecrets } = await import('../../runs/environment.ts');
  const words = process.argv.slice(2).map((argument) => (argument === given ? reference : withoutSecrets(argument)));
  return `npx ablate ${words.map(quoted).join(' ')}`;
}

interface About {
  readonly file: string;
  readonly content: Uint8Array;
  readonly reference: string;
  /** Of the original. */
  readonly config: TrainingConfig;
  readonly dataset: Dataset;
  readonly overrides: ConfigOverrides;
  readonly targets: CompressTargets;
  readonly device: Device | undefined;
  readonly steps: number;
  readonly shrink: number;
  readonly command: string;
  readonly engine: Engine;
}

async function gather({ runs, ...result }: Compressed, about: About): Promise<CompressionData> {
  const { distinctEnvironments } = await import('../../report/gather.ts');
  const { describeEnvironment } = await import('../../runs/environment.ts');
  const { withShownDatasets } = await import('../../report/shown-dataset.ts');
  const { runtimeVersion } = await import('../../deploy/onnx-runtime.ts');
  const { file, content, reference, config, dataset, overrides, targets, device, steps, shrink, command, engine } = about;
  const libraries = { ...engine.versions, onnxruntime: runtimeVersion() };
  const data: CompressionData = {
    model: config.model,
    source: reference,
    sourceHeldOut: config.val,
    dataset: dataset.name,
    synthetic: dataset.synthetic,
    limits: targets,
    ...(device && { device: `${device.core.name}@${device.clockMHz}` }),
    steps,
    shrink,
    seed: (overrides['seed'] as number | undefined) ?? config.seed,
    command,
    ...result,
    file,
    fileChecksum: checksumOf(content),
    trainingEnvironments: distinctEnvironments(runs),
    environment: describeEnvironment({ engine: engine.name, threads: 1, libraries }),
  };
  return withShownDatasets(data, [dataset.name]);
}

/** @param bytes of the file as it is on the disk */
async function printReport(data: CompressionData, bytes: number, page: string): Promise<void> {
  const { conclusion, notesOf, stagesTable, targetsTable } = await import('../../report/compression-text.ts');
  for (const { header, rows, alignments } of [stagesTable(data), targetsTable(data)]) {
    printTable([header, ...rows], alignments);
    print('');
  }
  for (const line of notesOf(data)) print(line);
  print(conclusion(data));
  const cLine = exportHint(data);
  if (cLine !== undefined) print(cLine);
  print(`wrote ${data.file}: ${formatBytes(bytes)}`);
  print(`report: ${page}`);
}

/** The file is ONNX; what a microcontroller was limited for is C. */
function exportHint({ stages, result, source }: CompressionData): string | undefined {
  const { device, run } = stages[result]!;
  return device && `for the microcontroller: ablate export ${quoted(run ?? source)} --c <folder>`;
}

/** Why the result is not what was asked for, though it is written. */
async function failureOf({ targets, limits, result, stages }: CompressionData): Promise<AblateError | undefined> {
  const { targetWords } = await import('../../report/compression-text.ts');
  const { hasLimits } = await import('../../compress/rounds.ts');
  const missed = targets.filter(({ met }) => !met);
  if (missed.length > 0) {
    const what = missed.map(({ target, limit, value }) => {
      const { name, format } = targetWords[target];
      return `${name}: ${format(value)}, above ${format(limit)}`;
    });
    return new AblateError(`the file was written, but misses a target: ${what.join('; ')}`, {
      fix: 'allow a larger --max-drop, more --rounds or more --steps, or ask for less',
    });
  }
  if (hasLimits(limits) || result > 0 || stages.length === 1) return undefined;
  const drop = stages[1]!.int8.dropPoints.toFixed(2);
  return new AblateError(
    `no filter could be removed: even the first round costs ${drop} points, above ${limits.maxDrop!}; the file is the original, only quantized`,
    { fix: 'allow a larger --max-drop, remove less in a round (--shrink 0.9), or train more (--steps)' },
  );
}
