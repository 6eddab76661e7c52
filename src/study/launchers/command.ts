/** Any scheduler with commands to submit a script, to ask for a job and to end it; the study file's `command`. */
import { AblateError } from '../../util/errors.ts';
import { runProgram } from './run-program.ts';
import type { Scheduler, TaskState } from './scheduler.ts';

export interface CommandOptions {
  /** Submits a script and prints the job's id, the last word of its output. `{script}` is the script: `qsub -V {script}`. */
  readonly submit: string;
  /** Succeeds while the job `{id}` exists: `qstat {id}`. */
  readonly status: string;
  /** Sends the job `{id}` a SIGTERM, or removes it if it has not begun: `qdel {id}`. */
  readonly cancel: string;
}

const fix = 'correct "command" in the study file';

export function commandScheduler({ submit, status, cancel }: CommandOptions): Scheduler {
  return {
    name: 'the command launcher',
    async submit({ tasks }) {
      const ids: string[] = [];
      for (const script of tasks) {
        const said = await shell(submit, { script });
        const id = said.split(/\s/).at(-1)!;
        if (id === '') throw new AblateError(`"${submit}" printed no job id`, { fix });
        ids.push(id);
      }
      return ids;
    },
    async states(ids) {
      const states = new Map<string, TaskState>();
      for (const id of ids) if (await succeeds(status, { id })) states.set(id, 'running');
      return states;
    },
    async stop(id) {
      await shell(cancel, { id });
    },
    explain: () => Promise.resolve(undefined),
  };
}

/** Runs a command line with its places filled in, each as one word, whether or not it is in quotes. */
function shell(command: string, values: Readonly<Record<string, string>>): Promise<string> {
  const line = command.replaceAll(/(["']?)\{(\w+)\}\1/g, (place, _quote: string, name: string) =>
    Object.hasOwn(values, name) ? `"$ABLATE_${name.toUpperCase()}"` : place,
  );
  const variables = Object.entries(values).map(([name, value]) => `ABLATE_${name.toUpperCase()}=${value}`);
  return runProgram('env', [...variables, 'sh', '-c', line], fix);
}

async function succeeds(command: string, values: Readonly<Record<string, string>>): Promise<boolean> {
  try {
    await shell(command, values);
    return true;
  } catch (error) {
    if (error instanceof AblateError) return false;
    throw error;
  }
}
