/**
 * Runs one command after another as its parent says, each with its own folder, environment and output, and answers with the exit code. The
 * argument is the module whose `run` takes the command lines.
 */
import { openSync, writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { Order } from './run-command.ts';

const { run } = (await import(pathToFileURL(process.argv[2]!).href)) as { run(args: readonly string[]): Promise<number> };

/** Where the output of the present command goes. */
let stdout = -1;
let stderr = -1;

function writeTo(descriptor: () => number): typeof process.stdout.write {
  return (chunk: string | Uint8Array, encoding?: unknown, done?: unknown) => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    for (let written = 0; written < bytes.length;) written += writeSync(descriptor(), bytes, written);
    const callback = typeof encoding === 'function' ? encoding : done;
    if (typeof callback === 'function') process.nextTick(callback);
    return true;
  };
}

process.stdout.write = writeTo(() => stdout);
process.stderr.write = writeTo(() => stderr);
// What nobody catches would end a process of its own: here it says so, and ends this one.
process.on('uncaughtException', (error) => {
  writeSync(stderr, `${error.stack ?? String(error)}\n`);
  process.exit(1);
});

process.on('message', (message: Order) => {
  stdout = openSync(message.stdout, 'a');
  stderr = openSync(message.stderr, 'a');
  process.chdir(message.cwd);
  Object.assign(process.env, message.environment);
  void run(message.args).then((code) => {
    // Promises that nobody waits for come to their end first.
    setImmediate(() => process.send!(code));
  });
});
process.send!('ready');
