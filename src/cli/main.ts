/** The `ablate` command: bin/ablate.js imports this file. */
import { surviveClosedOutput } from './output.ts';
import { run } from './program.ts';

surviveClosedOutput();
process.exitCode = await run(process.argv.slice(2));
