import type { Prepared } from './family.ts';
import type { Ended } from './run-command.ts';

/** As far as a person would read; more is a message gone wrong. */
const longestMessage = 64_000;

/**
 * What is wrong with how a command took bad input; nothing if it took it well.
 *
 * @param lost what of the input is no longer as it was
 */
export function judge(prepared: Prepared, ended: Ended, lost: readonly string[]): string[] {
  const { code, stdout, stderr, problem, leftOver } = ended;
  const problems: string[] = [];
  if (problem !== undefined) problems.push(problem);
  else if (typeof code !== 'number') problems.push(`ended by ${code ?? 'nobody knows what'}`);
  else if (![0, 1, 2, 130].includes(code)) problems.push(`exit code ${code}`);
  else if (code === 130 && prepared.serves !== true) problems.push('exit code 130 though nobody interrupted it');
  else if (code === 0 && prepared.refused === true) problems.push('accepted');
  else if (code !== 0 && code !== 130 && stderr.trim() === '') problems.push('failed without a word');
  if (/unexpected error:|^\s+at .*(:\d+:\d+|<anonymous>)|FATAL ERROR|Assertion .* failed/m.test(stderr))
    problems.push('stack trace');
  // eslint-disable-next-line no-control-regex -- they are what is looked for
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u009b]/.test(stdout + stderr))
    problems.push('control characters in the output');
  if (stderr.length > longestMessage) problems.push(`a message of ${stderr.length} characters`);
  if (code === 0 && prepared.args.includes('--json') && !isJson(stdout)) problems.push('the output is not JSON');
  if (leftOver.length > 0) problems.push(`left in the temporary folder: ${leftOver.join(', ')}`);
  // A training that went on may have replaced checkpoints: a damaged one, or the oldest.
  const wentOn = code === 0 && prepared.args.includes('--resume');
  const wronged = lost.filter((path) => prepared.mayChange?.test(path) !== true && !(wentOn && path.includes('/checkpoints/')));
  if (wronged.length > 0) problems.push(`changed: ${wronged.join(', ')}`);
  return problems;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
