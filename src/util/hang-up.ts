/**
 * Whether this process was started to go on when its terminal closes (`nohup`). Node gives every signal its default action before any of
 * our code runs, so what was inherited can no longer be asked of this process. It is told by what is left: the shell's note of the command, standard
 * input that nohup has opened for writing only, or a parent that itself ignores hang-ups (a script under nohup). Where none of these is left (a shell
 * that notes nothing, an input that is no terminal), `ABLATE_HANG_UP=ignored` says it.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { environmentVariable } from './env.ts';

/** What tells it; as they are in this process, by default. Texts are undefined where the system has no such files. */
export interface HangUpSigns {
  /** The variable `ABLATE_HANG_UP`: `ignored` where the user says so. */
  readonly atStart: string | undefined;
  /** /proc/<parent>/status */
  readonly parentStatus: string | undefined;
  /** /proc/self/fdinfo/0 */
  readonly standardInput: string | undefined;
  /** The variable `_`: the command as a shell has started it. */
  readonly command: string | undefined;
}

export function hangUpIsIgnored(signs: HangUpSigns = signsOfThisProcess()): boolean {
  // proc(5): SigIgn is a mask in hexadecimal, and the lowest bit is signal 1, SIGHUP.
  const ignored = /^SigIgn:\s*[0-9a-f]*([0-9a-f])$/m.exec(signs.parentStatus ?? '')?.[1];
  const parentIgnores = (parseInt(ignored ?? '0', 16) & 1) === 1;
  // open(2): the access mode is the last octal digit's lower two bits; 1 is O_WRONLY, in which nobody else opens standard input.
  const mode = /^flags:\s*[0-7]*([0-7])$/m.exec(signs.standardInput ?? '')?.[1];
  const inputIsUnreadable = (parseInt(mode ?? '0', 8) & 3) === 1;
  return signs.atStart === 'ignored' || parentIgnores || inputIsUnreadable || basename(signs.command ?? '') === 'nohup';
}

function signsOfThisProcess(): HangUpSigns {
  return {
    atStart: environmentVariable('ABLATE_HANG_UP'),
    parentStatus: textOf(`/proc/${process.ppid}/status`),
    standardInput: textOf('/proc/self/fdinfo/0'),
    command: environmentVariable('_'),
  };
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // Not Linux, or the parent is gone.
  }
}
