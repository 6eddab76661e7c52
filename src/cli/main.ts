/** The `ablate` command: bin/ablate.js imports this file. */
import { run } from './program.ts';

process.exitCode = await run(process.argv.slice(2));
