/*
 * Runs one command after another as its parent says (`Order` in shared-process.ts), each with its own folder, environment and output, and answers
 * with the exit code. The argument is the module whose `run` takes the command lines.
 */
import { Buffer } from 'node:buffer';
import { openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { setImmediate } from 'node:timers';
import { pathToFileURL } from 'node:url';

const [, , program] = process.argv;
const { run } = await import(pathToFileURL(program).href);
/** What a process of its own would run. */
const main = join(dirname(program), 'main.js');

/** Where the output of the present command goes. */
let stdout = -1;
let stderr = -1;

function writeTo(descriptor) {
  return (chunk, encoding, done) => {
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

process.on('message', (order) => {
  stdout = openSync(order.stdout, 'a');
  stderr = openSync(order.stderr, 'a');
  process.chdir(order.cwd);
  process.argv = [process.execPath, main, ...order.args];
  for (const name of Object.keys(process.env)) if (!(name in order.environment)) delete process.env[name];
  Object.assign(process.env, order.environment);
  void run(order.args).then((code) => {
    // Promises that nobody waits for come to their end first.
    setImmediate(() => process.send(code));
  });
});
// Whoever ordered is gone, and with it who waits for what still runs.
process.on('disconnect', () => process.exit());
process.send('ready');
