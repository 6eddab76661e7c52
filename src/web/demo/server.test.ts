import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { freezeUntrained } from '../../deploy/untrained.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { startDemo } from './server.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-demo-server-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a compressed file is served uncompressed', async () => {
  const bytes = (await freezeUntrained(referenceEngine, { model: 'squeeze0' })).encode(null);
  writeFileSync(join(folder, 'squeeze0.onnx.gz'), gzipSync(bytes));
  writeFileSync(join(folder, 'index.html'), '<!doctype html>');
  const server = await startDemo({ models: [join(folder, 'squeeze0.onnx.gz')], port: 0, clientFolder: folder });
  try {
    const models: unknown = await (await fetch(`${server.url}models.json`)).json();
    expect(models).toMatchObject([{ url: 'models/0.onnx', file: 'squeeze0.onnx.gz', sizeBytes: bytes.length }]);
    const served = await fetch(`${server.url}models/0.onnx`);
    expect(new Uint8Array(await served.arrayBuffer())).toEqual(new Uint8Array(bytes));
  } finally {
    await server.close();
  }
});
