/**
 * All cases of layers on the machine's graphics card against float64, as test/webgpu.test.ts compares them on a software adapter, in one program that needs no
 * test runner: bench/gpu.sh runs it. Prints the largest relative errors as JSON, and ends with 1 if one is above the tests' tolerance.
 *
 * In float16 some are above it by their nature: an activation that is nearer to a ReLU's kink than a rounding, or two numbers in a maximum, and the gradient goes elsewhere.
 *
 *     node --import tsx test/webgpu-agreement.ts [part of a case's name] [f16]
 */
import { openGpu } from '../src/engine/webgpu/adapter.ts';
import { createWebgpuEngine } from '../src/engine/webgpu/engine.ts';
import { allLayerCases } from './layer-cases.ts';
import { errorsOf } from './webgpu-cases.ts';

const [part = '', precision = 'f32'] = process.argv.slice(2) as [string?, ('f32' | 'f16')?];
/** As in test/webgpu.test.ts, and of gradients in test/webgpu-f16.test.ts. */
const tolerance = precision === 'f16' ? 2 ** -7 : 1e-4;

const engine = createWebgpuEngine(await openGpu());
const cases: { readonly name: string; readonly error: number; readonly worst: string }[] = [];
for (const [kind, name, layerCase] of allLayerCases) {
  if (kind === 'custom' || !name.includes(part)) continue;
  const errors = Object.entries(await errorsOf(engine, layerCase, precision));
  // What is not a number is the worst of all.
  const [worst, error] = errors.toSorted(([, a], [, b]) => (Number.isNaN(a) ? -1 : Number.isNaN(b) ? 1 : b - a))[0]!;
  cases.push({ name, error, worst });
}
const wrong = cases.filter(({ error }) => !(error <= tolerance));
const { description, tuning } = engine;
engine.dispose();
process.stdout.write(
  `${JSON.stringify({ engine: description, tuning, precision, tolerance, count: cases.length, wrong, cases }, undefined, 2)}\n`,
);
process.exitCode = wrong.length === 0 && cases.length > 0 ? 0 : 1;
