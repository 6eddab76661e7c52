/** How many bytes of flash the code of a network takes, beside its constants. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withTemporaryFolder } from '../../util/temporary-folder.ts';
import type { KernelName } from './c/kernels.ts';
import { headerFile, kernelsOf, sourceFile, type CodeOptions } from './c/source.ts';
import { constantBytes } from './plan.ts';

export interface CodeSize {
  readonly bytes: number;
  /** With which compiler; null where it was estimated, because there is none. */
  readonly compiler: string | null;
}

export const armCompiler = 'arm-none-eabi-gcc';
export const armFlags = ['-std=c99', '-O2', '-mcpu=cortex-m4', '-mthumb'] as const;

const run = promisify(execFile);

/** Compiled for a Cortex-M4 with -O2 where Debian's `gcc-arm-none-eabi` or the like is installed, else estimated. */
export async function codeSize(options: CodeOptions): Promise<CodeSize> {
  try {
    return { bytes: await compiledBytes(options), compiler: armCompiler };
  } catch {
    // There is no compiler, or none that can do this: the estimate says what it is.
    return { bytes: estimatedBytes(options), compiler: null };
  }
}

async function compiledBytes(options: CodeOptions): Promise<number> {
  const { name } = options;
  return await withTemporaryFolder('ablate-code-', async (folder) => {
    writeFileSync(join(folder, `${name}.c`), sourceFile(options));
    writeFileSync(join(folder, `${name}.h`), headerFile(options));
    await run(armCompiler, [...armFlags, '-c', `${name}.c`, '-o', 'code.o'], { cwd: folder });
    const { stdout } = await run('arm-none-eabi-size', ['code.o'], { cwd: folder });
    // Its first column is the text section with all constants.
    const text = Number(stdout.trim().split('\n')[1]!.trim().split(/\s+/)[0]);
    return text - constantBytes(options.plan);
  });
}

/** Each function with what it alone calls, as GCC 12 compiles it with `armFlags`. */
const kernelBytes: Readonly<Partial<Record<KernelName, number>>> = {
  convolve: 1566,
  convolveDepthwise: 1186,
  convolveGroups: 686,
  dense: 266,
  maxPool: 252,
  averagePool: 260,
  globalAverage: 174,
  add: 120,
  multiply: 210,
  copyChannels: 44,
  lookUp: 32,
  copyImage: 28,
};

/** What scales sums close to halves, for all of them. */
const scalingBytes = 198;

/** The call of a layer, and what says of a convolution how it is shaped. */
const callBytes = 24;
const shapeBytes = 100;

/**
 * To some 20%, too much for networks of a few layers, whose functions a compiler makes for their only call: the functions, the calls and the shapes of the
 * layers, the names of the classes.
 */
export function estimatedBytes(options: CodeOptions): number {
  const { plan, classes } = options;
  const functions = [...kernelsOf(options)].reduce((sum, kernel) => sum + (kernelBytes[kernel] ?? 0), 0);
  const layers = plan.steps.reduce((sum, { kind }) => sum + callBytes + (kind === 'conv' ? shapeBytes : shapeBytes / 3), 0);
  const names = classes.reduce((sum, label) => sum + label.length + 1 + 4, 0);
  return Math.round(functions + scalingBytes + layers + names);
}
