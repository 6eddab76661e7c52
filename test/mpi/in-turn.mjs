/*
 * One process of a job that runs several commands, one after the other: MPI can be started once in a process, so that it is started by the
 * first command and ended after the last. The arguments are the module whose `run` takes the command lines, and a folder with commands.json,
 * in which each process leaves what came of each command: `<number>-<pid>.json`.
 */
import { Buffer } from 'node:buffer';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { setImmediate } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import koffi from 'koffi';

const [, , program, folder] = process.argv;

let isStarted = false;
let end = () => undefined;
const load = koffi.load;
koffi.load = (name, ...options) => {
  const library = load(name, ...options);
  if (!/mpi/.test(name)) return library;
  const func = (declaration) => {
    const native = library.func(declaration);
    if (declaration.includes('MPI_Init_thread')) {
      return (...args) => {
        if (isStarted) return 0;
        isStarted = true;
        return native(...args);
      };
    }
    if (!declaration.includes('MPI_Finalize')) return native;
    end = native;
    return () => 0;
  };
  return { func, symbol: (symbol) => library.symbol(symbol) };
};

const { run } = await import(pathToFileURL(program).href);
const said = { stdout: '', stderr: '' };
for (const name of ['stdout', 'stderr']) {
  const write = process[name].write.bind(process[name]);
  process[name].write = (chunk, encoding, done) => {
    said[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
    const callback = typeof encoding === 'function' ? encoding : done;
    if (typeof callback === 'function') process.nextTick(callback);
    // An error that ends the job is found there.
    if (name === 'stderr') write(chunk);
    return true;
  };
}
const commands = JSON.parse(readFileSync(join(folder, 'commands.json'), 'utf8'));
for (const [number, args] of commands.entries()) {
  said.stdout = said.stderr = '';
  process.argv = [process.execPath, join(dirname(program), 'main.js'), ...args];
  const code = await run(args);
  // Promises that nobody waits for come to their end first.
  await setImmediate();
  writeFileSync(join(folder, `${number}-${process.pid}.json`), JSON.stringify({ code, ...said }));
}
end();
