import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { freezeUntrained } from '../../../test/freeze-untrained.ts';
import { decodeModel, encodeModel } from '../../deploy/onnx/schema.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import type { PageServer } from '../page-server.ts';
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

describe('with a server', () => {
  const paddingBytes = 20_000_000;

  /** A model with a long text, so that no buffer of the system takes all of it. */
  async function withServer(work: (server: PageServer) => Promise<void>): Promise<void> {
    const model = decodeModel((await freezeUntrained(referenceEngine, { model: 'squeeze0' })).encode(null))!;
    const path = join(folder, 'long.onnx');
    writeFileSync(path, encodeModel({ ...model, docString: 'x'.repeat(paddingBytes) }));
    writeFileSync(join(folder, 'index.html'), '<!doctype html>');
    const server = await startDemo({ models: [path], port: 0, clientFolder: folder });
    try {
      await work(server);
    } finally {
      await server.close();
    }
  }

  function ask(server: PageServer, path: string, host: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      get(`${server.url}${path}`, { headers: { host }, agent: false }, (response) => {
        response.resume();
        response.once('end', () => resolve(response));
      }).once('error', reject);
    });
  }

  test('it answers to addresses and names of this machine, and not to a name that was pointed at it', async () => {
    await withServer(async (server) => {
      const { port } = new URL(server.url);
      for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, 'LOCALHOST', `[::1]:${port}`, '192.168.1.7:80']) {
        expect((await ask(server, 'models.json', host)).statusCode, host).toBe(200);
      }
      for (const host of ['evil.example', `evil.example:${port}`, 'localhost.evil.example', '127.0.0.1.evil.example']) {
        expect((await ask(server, 'models.json', host)).statusCode, host).toBe(421);
        expect((await ask(server, '', host)).statusCode, host).toBe(421);
      }
    });
  });

  test('pages from elsewhere may neither show it nor give it code', async () => {
    await withServer(async (server) => {
      const policy = String((await ask(server, '', 'localhost')).headers['content-security-policy']);
      expect(policy.split('; ')).toEqual(
        expect.arrayContaining(["default-src 'self'", "frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'"]),
      );
      expect(policy).not.toMatch(/unsafe-inline|\*|https?:/);
    });
  });

  test('forty readers that take nothing cost no copies of the model, and a quick one gets all of it meanwhile', async () => {
    await withServer(async (server) => {
      const { port } = new URL(server.url);
      const before = process.memoryUsage().arrayBuffers;
      const readers = await Promise.all(Array.from({ length: 40 }, () => slowReader(Number(port))));
      try {
        const served = await (await fetch(`${server.url}models/0.onnx`)).arrayBuffer();
        expect(served.byteLength).toBeGreaterThan(paddingBytes);
        // Forty copies would be 800 MB; the quick reader's own is one, and pieces that are not yet collected are some.
        expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(6 * paddingBytes);
      } finally {
        for (const reader of readers) reader.destroy();
      }
    });
  });

  /** Asks for the model, waits for the first bytes, and then reads no more. */
  function slowReader(port: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('GET /models/0.onnx HTTP/1.1\r\nHost: localhost\r\n\r\n'));
      socket.once('error', reject);
      socket.once('data', () => {
        socket.pause();
        resolve(socket);
      });
    });
  }
});

test('an empty host, which would listen on all addresses, is refused', async () => {
  const options = { models: [], port: 0, clientFolder: folder };
  await expect(startDemo({ ...options, host: '' })).rejects.toThrow('host (="") must be an address of this machine');
});
