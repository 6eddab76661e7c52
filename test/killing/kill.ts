/** Kills work at random moments, as the kernel would, and has it resumed until it ends. */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Draw } from '../hostile/draw.ts';
import { offspring } from '../hostile/watch.ts';
import { inspect, type Progress, type Work } from './work.ts';

export interface Tally {
  readonly work: string;
  readonly kills: number;
  /** Times that the work was begun, killed and resumed, and came to its end. */
  readonly ended: number;
  readonly problems: readonly string[];
}

export interface Killing {
  readonly work: Work;
  readonly kills: number;
  /** Empty. */
  readonly folder: string;
  /** Node's arguments before those of the command. */
  readonly entry: readonly string[];
  readonly seed: number;
  readonly onKill?: (done: number) => void;
}

/** Of the time that the work takes: long enough to come past the start, short enough for several deaths. */
const longestLife = 0.35;

/** Kills `work` so many times; whenever it comes to its end, compares it with what nobody killed, and begins again. */
export async function killAndResume({ work, kills, folder, entry, seed, onKill }: Killing): Promise<Tally> {
  const problems: string[] = [];
  const draw = new Draw(seed, `death of ${work.name}`);
  const straight = join(folder, 'straight');
  begin(work, straight);
  const startedAt = performance.now();
  const { code, said } = await once(entry, work.command(straight), straight);
  if (code !== 0) throw new Error(`${work.name} that nobody kills fails: ${said}`);
  let longestMs = longestLife * (performance.now() - startedAt);
  const right = work.result(straight);

  let done = 0;
  let ended = 0;
  for (let life = 0; done < kills; life++) {
    const place = join(folder, `life-${life}`);
    begin(work, place);
    let progress: Progress = { steps: new Map() };
    for (let over = false; !over;) {
      const moment = done < kills ? draw.uniform() * longestMs : undefined;
      const end = await once(entry, work.command(place), place, moment, draw.below(2) === 0);
      if (end.code === 'SIGKILL') {
        done++;
        onKill?.(done);
      }
      const { now, problems: found } = inspect(place, progress);
      problems.push(...found.map((problem) => `${work.name}, after ${done} kills: ${problem}`));
      // The machine becomes slower and quicker: a death without progress came too early, an end without a death too late.
      if (end.code === 'SIGKILL' && isDeepStrictEqual(now, progress)) longestMs *= 1.1;
      else if (moment !== undefined && end.code !== 'SIGKILL') longestMs *= 0.7;
      progress = now;
      over = end.code !== 'SIGKILL';
      if (!over) continue;
      if (end.code !== 0) problems.push(`${work.name}, after ${done} kills: ends with ${end.code ?? '?'}: ${end.said}`);
      else if (isDeepStrictEqual(work.result(place), right)) ended++;
      else problems.push(`${work.name}, after ${done} kills: another end than without them (${place})`);
    }
    if (problems.length > 0) break;
    rmSync(place, { recursive: true, force: true });
  }
  return { work: work.name, kills: done, ended, problems };
}

function begin(work: Work, folder: string): void {
  mkdirSync(folder, { recursive: true });
  work.prepare(folder);
}

interface End {
  readonly code: number | NodeJS.Signals | null;
  readonly said: string;
}

/**
 * Runs a command to its end, or kills it after `momentMs`.
 *
 * @param all also kills at once what it has started; otherwise that may go on
 */
function once(entry: readonly string[], args: readonly string[], cwd: string, momentMs?: number, all = true): Promise<End> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...entry, ...args], { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
    const kill = () => {
      const others = all ? offspring(child.pid!) : [];
      child.kill('SIGKILL');
      for (const pid of others) killProcess(pid);
    };
    const timer = momentMs === undefined ? undefined : setTimeout(kill, momentMs);
    child.once('error', reject);
    // Its output may stay open: what it started has it, too.
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      child.stderr.destroy();
      resolve({ code: signal ?? code, said });
    });
  });
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
