/**
 * How the learning rate changes over a run: all schedules. To add one: its entry in the list. Times are fractions of the run's steps, rates
 * fractions of the peak.
 */
import * as z from 'zod';

const positive = z.number().positive();
/** A number from 0 to below 1. */
const share = z.number().min(0).lt(1);
/** A number from 0 to 1. */
const fraction = z.number().min(0).max(1);

/** One schedule: its part of the configuration's schema, and its formula. */
interface ScheduleKind<Schema extends z.ZodObject> {
  /** The literal `type` and the options. */
  readonly schema: Schema;
  /**
   * The learning rate of one step, as a part of the peak.
   *
   * @param step steps already taken, 0 to steps - 1
   * @param steps length of the run
   */
  rate(options: z.output<Schema>, step: number, steps: number): number;
}

const schedules = [
  defineSchedule({
    schema: z.strictObject({ type: z.literal('constant') }),
    rate: () => 1,
  }),
  /** Multiplied by `factor` at each milestone. */
  defineSchedule({
    schema: z.strictObject({
      type: z.literal('step'),
      milestones: z.array(fraction).default([0.5, 0.75]),
      factor: positive.default(0.1),
    }),
    rate: ({ milestones, factor }, step, steps) => factor ** milestones.filter((milestone) => step / steps >= milestone).length,
  }),
  /** Linear from 0 to the peak over `warmup`, then linear down to `final`. */
  defineSchedule({
    schema: z.strictObject({ type: z.literal('linear'), warmup: share.default(0), final: fraction.default(0) }),
    rate: (options, step, steps) => upAndDown({ ...options, initial: 0 }, step, steps),
  }),
  /** Linear from 0 to the peak over `warmup`, then half a cosine down to `final` (Loshchilov and Hutter, 2016, without restarts). */
  defineSchedule({
    schema: z.strictObject({ type: z.literal('cosine'), warmup: share.default(0), final: fraction.default(0) }),
    rate({ warmup, final }, step, steps) {
      if (step / steps < warmup) return warmingUp(step, steps * warmup, 0);
      const remaining = (1 + Math.cos(Math.PI * afterWarmup(step / steps, warmup))) / 2;
      return final + (1 - final) * remaining;
    },
  }),
  /** Linear from `initial` to the peak over `warmup`, then linear down to `final` (after Smith, 2018). */
  defineSchedule({
    schema: z.strictObject({
      type: z.literal('oneCycle'),
      warmup: share.default(0.15),
      initial: fraction.default(0),
      final: fraction.default(0),
    }),
    rate: upAndDown,
  }),
  /** As oneCycle, but the first step is at `initial` itself and the warm-up is a whole number of steps, rounded down (airbench94). */
  defineSchedule({
    schema: z.strictObject({
      type: z.literal('triangular'),
      warmup: share.default(0.23),
      initial: fraction.default(0.2),
      final: fraction.default(0.07),
    }),
    rate({ warmup, initial, final }, step, steps) {
      const warmupSteps = Math.floor(steps * warmup);
      if (step < warmupSteps) return initial + (1 - initial) * (step / warmupSteps);
      return 1 + (final - 1) * ((step - warmupSteps) / (steps - warmupSteps));
    },
  }),
] as const;

/** For the compiler to infer the options from the schema. */
function defineSchedule<Schema extends z.ZodObject>(kind: ScheduleKind<Schema>): ScheduleKind<Schema> {
  return kind;
}

type SchemasOf<Kinds extends readonly ScheduleKind<z.ZodObject>[]> = { [I in keyof Kinds]: Kinds[I]['schema'] };

/** The configuration's `schedule`: its `type`, and the options of that type alone. */
export const scheduleSchema = z.discriminatedUnion(
  'type',
  schedules.map(({ schema }) => schema) as unknown as SchemasOf<typeof schedules>,
);

export type Schedule = Readonly<z.output<typeof scheduleSchema>>;

/**
 * The learning rate of one step.
 *
 * @param peak the configured learning rate
 * @param step steps already taken, 0 to steps - 1
 * @param steps length of the run
 */
export function learningRateAt(schedule: Schedule, peak: number, step: number, steps: number): number {
  const kinds: readonly ScheduleKind<z.ZodObject>[] = schedules;
  const kind = kinds.find(({ schema }) => (schema.shape['type'] as z.ZodLiteral).value === schedule.type)!;
  return peak * kind.rate(schedule, step, steps);
}

/**
 * `linear`: batchSize / referenceBatchSize times the learning rate, which is reached from the learning rate itself over the first `warmup` of
 * the run (Goyal et al., 2017).
 */
export const learningRateScalingSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  z.strictObject({ type: z.literal('linear'), referenceBatchSize: z.int().min(1).default(128), warmup: share.default(0.05) }),
]);

type LearningRateScaling = Readonly<z.output<typeof learningRateScalingSchema>>;

/**
 * The peak of the schedule at one step.
 *
 * @param step steps already taken, 0 to steps - 1
 */
export function scaledLearningRate(
  scaling: LearningRateScaling,
  { learningRate, batchSize, steps }: { readonly learningRate: number; readonly batchSize: number; readonly steps: number },
  step: number,
): number {
  if (scaling.type === 'none') return learningRate;
  const factor = batchSize / scaling.referenceBatchSize;
  const risen = Math.min(1, (step + 1) / (steps * scaling.warmup));
  return learningRate * (1 + (factor - 1) * risen);
}

/** The first step is already one part of the way up: a rate of zero would waste it. */
function warmingUp(step: number, warmupSteps: number, initial: number): number {
  return initial + (1 - initial) * Math.min(1, (step + 1) / warmupSteps);
}

/** 0 at the end of the warm-up, 1 at the end of the run. */
function afterWarmup(progress: number, warmup: number): number {
  return (progress - warmup) / (1 - warmup);
}

function upAndDown(
  { warmup, initial, final }: { readonly warmup: number; readonly initial: number; readonly final: number },
  step: number,
  steps: number,
): number {
  // Stryker disable next-line EqualityOperator: where the warm-up ends, both are the peak
  if (step / steps < warmup) return warmingUp(step, steps * warmup, initial);
  return 1 + (final - 1) * afterWarmup(step / steps, warmup);
}
