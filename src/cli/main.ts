/** The `ablate` command: bin/ablate.js imports this file. */
import { closeDebugger } from './interrupt.ts';
import { surviveLostOutput } from './output.ts';
import { run } from './program.ts';

surviveLostOutput();
closeDebugger();
const exitCode = await run(process.argv.slice(2));
// Output that was lost has set it already.
process.exitCode ??= exitCode;
