/*
 * Opens the WebGPU engine, trains 20 steps and gives the device back, ten times in each of several processes, with garbage collections forced at every step: what
 * the package's `create` returns must outlive all that came from it, or the process dies in one of many ways. Each must end by itself with exit code 0.
 *
 *     node scripts/webgpu-lifetimes.mjs [trainings, by default 200]
 *
 * On the software adapter of Chromium: VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json
 */
import { spawn } from 'node:child_process';
import { clearTimeout, setTimeout } from 'node:timers';
import { fileURLToPath } from 'node:url';

const trainings = Number(process.argv[2] ?? 200);
const program = fileURLToPath(new URL('../test/webgpu-lifetime.ts', import.meta.url));
/** Trainings of a process, one after the other, each with a device of its own. */
const perProcess = 10;
const patienceMs = 120_000;

let failures = 0;
for (let done = 0; done < trainings; done += perProcess) {
  const count = Math.min(perProcess, trainings - done);
  const child = spawn(process.execPath, ['--expose-gc', '--import', 'tsx', program, String(count)], { stdio: 'inherit' });
  const [code, signal] = await new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
    child.on('exit', (...ended) => {
      clearTimeout(timer);
      resolve(ended);
    });
  });
  if (code === 0) continue;
  failures++;
  process.stdout.write(`trainings ${done + 1} to ${done + count}: ${signal ?? `exit code ${code}`}\n`);
}
process.stdout.write(
  `${trainings} trainings of 20 steps in ${Math.ceil(trainings / perProcess)} processes, ${failures} ended badly\n`,
);
process.exitCode = failures === 0 ? 0 : 1;
