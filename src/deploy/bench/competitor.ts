/** One way of running a model, in a process of its own: its threads, its memory and its warm caches are nobody else's. */
import type { ChildProcess } from 'node:child_process';
import type { EngineChoice } from '../../engine/registry.ts';
import { AblateError } from '../../util/errors.ts';
import { startProcess } from '../../util/start-process.ts';

export interface Competitor {
  /** `onnxruntime`, `ablate`, `pytorch`. */
  readonly runtime: string;
  readonly threads: number;
  /** Runs batches for a while, after a warm-up, and returns the time of each in milliseconds. Calls must not overlap. */
  measure(request: MeasureRequest): Promise<Measurement>;
  /** Ends the process. */
  stop(): void;
}

export interface MeasureRequest {
  readonly batchSize: number;
  /** How long to measure. At least `minimumRuns` batches are run, whatever they take. */
  readonly milliseconds: number;
  readonly minimumRuns: number;
}

export interface Measurement {
  /** Of each batch: image bytes in, probabilities out. */
  readonly timesMs: readonly number[];
  /** Largest resident memory of the process so far. */
  readonly peakMemoryBytes: number;
}

export type NodeRuntime = 'onnxruntime' | 'ablate';

/** What a child process is told to run, as its first argument, in JSON. */
export interface CompetitorSettings {
  readonly runtime: NodeRuntime;
  /** A frozen file. */
  readonly path: string;
  readonly threads: number;
  /** What `ablate` computes with; default `auto`. */
  readonly engine?: EngineChoice | undefined;
}

/** What a child process answers. */
export type CompetitorMessage = Measurement | { readonly error: string };

/** Starts a process that runs a frozen file in ONNX Runtime, or the network that it was made of in ablate's engine. */
export function startCompetitor(settings: CompetitorSettings): Competitor {
  const child = startProcess(import.meta.url, 'competitor-process', [JSON.stringify(settings)]);
  const { runtime, threads } = settings;
  return {
    runtime,
    threads,
    measure: (request) => ask(child, request, `${runtime} with ${threads} threads`),
    stop: () => {
      child.kill();
    },
  };
}

function ask(child: ChildProcess, request: MeasureRequest, who: string): Promise<Measurement> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => {
      reject(new AblateError(`the process that measures ${who} ended with exit code ${code ?? 'none'}`));
    };
    child.once('exit', onExit);
    child.once('message', (message: CompetitorMessage) => {
      child.off('exit', onExit);
      if ('error' in message) reject(new AblateError(`${who}: ${message.error}`));
      else resolve(message);
    });
    child.send(request);
  });
}
