import { execFile } from 'node:child_process';
import { errorCode } from '../../util/file-error.ts';
import { AblateError } from '../../util/errors.ts';

/**
 * What a program of a scheduler prints on stdout, trimmed.
 *
 * @param timeoutMs a scheduler that does not answer in this time is down
 * @throws AblateError with what it said, if it is missing, fails or does not answer
 */
export function runProgram(file: string, args: readonly string[], fix: string, timeoutMs = 90_000): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(file, args, { timeout: timeoutMs }, (error, stdout, stderr) => {
      if (error === null) {
        resolve(stdout.trim());
        return;
      }
      const said = stderr.trim().split('\n').slice(-2).join(' / ');
      const reason =
        errorCode(error) === 'ENOENT'
          ? 'it was not found'
          : said !== ''
            ? said
            : error.killed === true
              ? 'no answer'
              : error.message;
      reject(new AblateError(`${file}: ${reason}`, { fix, cause: error }));
    });
  });
}
