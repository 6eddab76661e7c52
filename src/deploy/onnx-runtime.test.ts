import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { openSession, runtimeVersion } from './onnx-runtime.ts';

test('in a worker thread, whose environment native code does not see, it is not loaded to send telemetry', async () => {
  const module = new URL('./onnx-runtime.ts', import.meta.url).href;
  const outcome = (environment: Readonly<Record<string, string>>) =>
    new Promise<string>((resolve) => {
      const script = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(module)}); })`;
      const worker = new Worker(script, { eval: true, env: environment, execArgv: [] });
      worker.on('error', (error) => resolve(error.message));
      worker.on('exit', () => resolve('loaded'));
    });
  expect(await outcome({})).toBe(
    'a worker thread cannot keep ONNX Runtime from sending telemetry: ORT_DISABLE_TELEMETRY is not set',
  );
  expect(await outcome({ ORT_DISABLE_TELEMETRY: '1' })).toBe('loaded');
});

test('threads are a positive integer', async () => {
  await expect(openSession(new Uint8Array(), 'f', { threads: 0 })).rejects.toThrow('threads (=0) must be an integer from 1 to');
  await expect(openSession(new Uint8Array(), 'f', { threads: 1.5 })).rejects.toThrow(
    'threads (=1.5) must be an integer from 1 to',
  );
});

test('what ONNX Runtime refuses is an error of the file', async () => {
  const read = openSession(new TextEncoder().encode('no model'), 'a.onnx', { threads: 1 });
  await expect(read).rejects.toMatchObject({ name: 'DataError', fix: 'freeze it again' });
  await expect(read).rejects.toThrow(/^ONNX Runtime cannot load a\.onnx: ./);
});

test('says its version', () => {
  expect(runtimeVersion()).toMatch(/^1\.\d+\.\d+$/);
});
