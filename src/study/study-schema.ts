/**
 * What a study file may say: the shape of it, strict throughout. What the keys of a configuration may be is decided where configurations
 * are resolved; study-file.ts does so for every run and names the line.
 */
import * as z from 'zod';
import { trainingConfigSchema } from '../train/config-schema.ts';

const studyName = z
  .string('a name')
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]*$/, 'letters, digits, ".", "_" and "-", starting with a letter or a digit')
  .describe('Name of the study: of its folder of results, and on the command line.');
const factorName = z.string('a name').min(1).describe('Name of the change, as tables and figures show it.');

/** Any subset of a configuration's keys, dotted names and short forms included, as `ablate train --set` takes them. */
export const overridesSchema = z
  .record(z.string(), z.unknown(), 'keys of the configuration with their values')
  .describe(
    'Keys of the configuration and settings of the model: learningRate, augment, augmentation.flip, model.lrn, ...; and quantization.',
  );

const changes = overridesSchema.refine((value) => Object.keys(value).length > 0, 'at least one key with its value');

const labelledLevel = z.strictObject({ label: factorName.describe('How tables call the level.'), set: changes });

const range = z.strictObject({
  key: z.string('a key of the configuration').min(1).describe('Key that is drawn.'),
  low: z.number().describe('Smallest value.'),
  high: z.number().describe('Largest value.'),
  scale: z.enum(['linear', 'log']).default('linear').describe('How values are spread over the range.'),
  integer: z.boolean().default(false).describe('Whether values are rounded to integers.'),
});

const factor = z.strictObject(
  {
    name: factorName,
    against: factorName
      .optional()
      .describe(
        'One-at-a-time: another factor, on top of which this one is set and with which it is compared. Default: the baseline.',
      ),
    set: changes.optional().describe('The change.'),
    levels: z
      .array(
        z.union([labelledLevel, changes], 'keys of the configuration with their values, or label and set'),
        'a list of levels',
      )
      .min(1, 'a list of at least one level')
      .optional()
      .describe('Several values of the change, each compared on its own.'),
    range: range.optional().describe('Random search: values drawn from a range.'),
  },
  'a factor: name and one of set, levels, range',
);

const hypothesis = z.strictObject({
  hypothesis: z.string('a sentence').min(1).describe('What is believed, as a sentence of the report.'),
  changes: z
    .array(factorName, 'a list of changes')
    .min(1, 'a list of at least one change')
    .describe('The changes that it is about, by the names that tables show.'),
  expected: z.enum(['better', 'worse', 'same']).describe('What each of them does to the accuracy, if the hypothesis holds.'),
  within: z.number().positive().max(100).default(0.5).describe('Points of accuracy: what is surely smaller is the same.'),
});

const halving = z.strictObject({
  factor: z.int().min(2).default(3).describe('One of so many trials goes on after each round.'),
  rounds: z
    .int()
    .min(1)
    .default(2)
    .describe('Rounds that stop trials; each is `factor` times as long as the one before, the last trials train to the end.'),
});

const word = z.string().min(1);
/** YAML reads `time: 90` as a number. */
const wordOrNumber = z.union([word, z.number()], 'a text or a number').transform(String);
const count = z.int().min(1);

const slurm = z.strictObject({
  partition: word.optional().describe('Partition to submit to.'),
  account: word.optional().describe('Account that is charged.'),
  time: wordOrNumber.optional().describe('Time limit of each run: minutes, or "hours:minutes:seconds".'),
  cpus: count.optional().describe('CPUs of each run, and its OpenMP threads. Default: 1.'),
  memory: wordOrNumber.optional().describe('Memory of each run: 4G.'),
  concurrent: count.optional().describe('Runs at the same time. Default: as many as Slurm lets run.'),
  options: z.array(word).optional().describe('Further options of sbatch: ["--constraint=avx512"].'),
});

const command = z.strictObject({
  submit: word.describe('Submits the script {script} and prints the id of the job as its last word: qsub {script}'),
  status: word.describe('Succeeds while the job {id} exists: qstat {id}'),
  cancel: word.describe('Sends the job {id} a SIGTERM, or removes it if it has not begun: qdel {id}'),
  threads: count.optional().describe('OpenMP threads of each run. Default: 1.'),
  concurrent: count.optional().describe('Jobs at the same time. Default: 100.'),
});

/** More repetitions are a mistake in the file. */
const mostSeeds = 1000;
const seedsAllowed = `a list of different integers of at least 0, or how many, up to ${mostSeeds} (3 is [1, 2, 3])`;
const seed = z.int().min(0);

export const designs = ['one-at-a-time', 'leave-one-out', 'factorial', 'grid', 'random', 'models'] as const;
export type DesignName = (typeof designs)[number];

export const studySchema = z.strictObject({
  name: studyName,
  title: z.string().optional().describe('Heading of the report.'),
  description: z.string().optional().describe('What the study asks, for the report.'),
  dataset: trainingConfigSchema.shape.dataset,
  baseline: overridesSchema.describe('Model, recipe, steps and any other key of the configuration that all runs share.'),
  design: z.enum(designs).describe('Which combinations of the changes are trained.'),
  factors: z.array(factor, 'a list of factors').default([]).describe('What is changed.'),
  models: z
    .array(trainingConfigSchema.shape.model, 'a list of models')
    .default([])
    .describe('Design models: trained alike. The first is what the others are compared with.'),
  seeds: z
    .union([z.int(seedsAllowed).min(1).max(mostSeeds), z.array(seed, seedsAllowed).min(1)], seedsAllowed)
    .describe('Every variant is trained with each of these seeds, so that runs are compared in pairs.'),
  hypotheses: z
    .array(hypothesis, 'a list of hypotheses')
    .default([])
    .describe('What is believed before the study; the report says of each whether it holds.'),
  trials: count.optional().describe('Design random: combinations drawn.'),
  slurm: slurm.optional().describe('What to ask of Slurm for each run, with --launcher slurm.'),
  command: command.optional().describe('Commands of another scheduler, for --launcher command.'),
  halving: halving.optional().describe('Designs grid and random: stop hopeless trials early (successive halving).'),
});

/** A study as it is written: what has a default may be left out. */
export type StudyDefinition = Readonly<z.input<typeof studySchema>>;
export type StudySource = Readonly<z.output<typeof studySchema>>;
export type FactorSource = StudySource['factors'][number];
export type Hypothesis = Readonly<z.output<typeof hypothesis>>;
export type HalvingRule = Readonly<z.output<typeof halving>>;
