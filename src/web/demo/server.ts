/**
 * Serves the demonstration page: frozen files, ONNX Runtime's WebAssembly build from the installed package, and the page itself, all from
 * this machine. The page computes in the browser; no image is sent here.
 */
import { serve } from '@hono/node-server';
import { Hono, type MiddlewareHandler } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { isIP, type AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { readFrozenFile } from '../../deploy/frozen-model.ts';
import { AblateError, ConfigurationError } from '../../util/errors.ts';
import { errorCode } from '../../util/file-error.ts';
import { packageRoot } from '../../util/package.ts';
import type { DemoModel } from './protocol.ts';
import { streamBytes, streamFile } from './stream.ts';

export interface DemoOptions {
  /** Frozen files, at least one; the first is shown first. */
  readonly models: readonly string[];
  /** Default 127.0.0.1: this machine only. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** The built page; default where `npm run build` puts it. */
  readonly clientFolder?: string;
}

export interface DemoServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Where the build puts the page. */
export function builtClientFolder(): string {
  return join(packageRoot(), 'dist', 'client', 'demo');
}

/**
 * Starts the server.
 *
 * @throws DataError for a file that `ablate freeze` did not write; AblateError if the port is taken or the page is not built
 */
export async function startDemo(options: DemoOptions): Promise<DemoServer> {
  const { host = '127.0.0.1', port, clientFolder = builtClientFolder() } = options;
  if (host.trim() === '') {
    throw new ConfigurationError('host (="") must be an address of this machine', { fix: 'leave --host out' });
  }
  const models = options.models.map(loadModel);
  const page = await readPage(clientFolder);
  const runtimeFolder = dirname(createRequire(import.meta.url).resolve('onnxruntime-web/wasm'));

  const app = new Hono();
  app.use(headers, onlyByItsOwnName(host));
  app.get('/', (context) => context.html(page));
  app.get('/models.json', (context) => context.json(models.map(({ description }) => description)));
  app.get('/models/:id', (context) => {
    const model = models.find(({ description }) => description.url === `models/${context.req.param('id')}`);
    return model === undefined
      ? context.notFound()
      : context.body(streamBytes(model.bytes), 200, {
          'Content-Type': 'application/octet-stream',
          'Content-Length': String(model.bytes.length),
        });
  });
  app.get('/runtime/:file', (context) => sendFile(runtimeFolder, context.req.param('file')));
  app.get('/assets/:file', (context) => sendFile(join(clientFolder, 'assets'), context.req.param('file')));

  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: host, port }, ({ port: taken }: AddressInfo) => {
      const shown = host.includes(':') ? `[${host}]` : host;
      resolve({ url: `http://${shown}:${taken}/`, close: () => closed(server) });
    });
    server.maxConnections = mostConnections;
    // A reader that takes nothing for so long is gone.
    if ('setTimeout' in server) server.setTimeout(idleMs);
    server.once('error', (error) => {
      reject(listenError(error, host, port));
    });
  });
}

/** A browser opens six to a host. */
const mostConnections = 100;
const idleMs = 120_000;

/**
 * Answers only who asks for an address, `localhost`, this machine's name or the `host` that was given. Another name that leads here is a page
 * from elsewhere whose name was pointed at this machine (DNS rebinding), and could otherwise read everything.
 */
function onlyByItsOwnName(host: string): MiddlewareHandler {
  const names = new Set(['localhost', host.toLowerCase(), hostname().toLowerCase()]);
  return async (context, next) => {
    const asked = (context.req.header('host') ?? '').toLowerCase().replace(/:\d*$/, '');
    if (names.has(asked) || isIP(asked.replace(/^\[(.*)\]$/, '$1')) !== 0) {
      await next();
      return;
    }
    return context.text(`this is ${host}, not ${JSON.stringify(asked)}`, 421);
  };
}

/**
 * The page is isolated from others (COOP, COEP), which browsers demand for threads; and its content policy lets it load nothing from
 * anywhere else.
 */
const headers = secureHeaders({
  crossOriginOpenerPolicy: 'same-origin',
  crossOriginEmbedderPolicy: 'require-corp',
  crossOriginResourcePolicy: 'same-origin',
  contentSecurityPolicy: {
    defaultSrc: ["'self'"],
    scriptSrc: ["'self'", "'wasm-unsafe-eval'"],
    workerSrc: ["'self'", 'blob:'],
    imgSrc: ["'self'", 'blob:', 'data:'],
    connectSrc: ["'self'", 'blob:', 'data:'],
    baseUri: ["'none'"],
    objectSrc: ["'none'"],
    frameAncestors: ["'none'"],
    formAction: ["'none'"],
  },
  // For plain HTTP on this machine it means nothing.
  strictTransportSecurity: false,
});

function loadModel(path: string, index: number): { readonly description: DemoModel; readonly bytes: Uint8Array } {
  const { bytes, metadata } = readFrozenFile(path);
  const { model, classes, imageSize, inputSize, accuracy, parameters, operations, run } = metadata;
  const description = {
    url: `models/${index}.onnx`,
    file: basename(path),
    sizeBytes: bytes.length,
    model,
    run,
    classes,
    imageSize,
    inputSize,
    accuracy: accuracy?.value ?? null,
    parameters,
    operations,
  };
  return { description, bytes };
}

async function readPage(folder: string): Promise<string> {
  try {
    return await readFile(join(folder, 'index.html'), 'utf8');
  } catch (error) {
    throw new AblateError(`the page of the demonstration is not built: there is no ${join(folder, 'index.html')}`, {
      fix: 'npm run build',
      cause: error,
    });
  }
}

const contentTypes: Readonly<Record<string, string>> = {
  js: 'text/javascript',
  mjs: 'text/javascript',
  css: 'text/css',
  svg: 'image/svg+xml',
  png: 'image/png',
  wasm: 'application/wasm',
};

/** A file of a folder, by its name alone. */
async function sendFile(folder: string, name: string): Promise<Response> {
  const type = contentTypes[name.split('.').at(-1) ?? ''];
  if (type === undefined || basename(name) !== name) return new Response('not found', { status: 404 });
  const file = await streamFile(join(folder, name));
  if (file === undefined) return new Response('not found', { status: 404 });
  return new Response(file.body, { headers: { 'Content-Type': type, 'Content-Length': String(file.bytes) } });
}

/** Also ends connections that a browser keeps open. */
function closed(server: ReturnType<typeof serve>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
    if ('closeAllConnections' in server) server.closeAllConnections();
  });
}

function listenError(error: unknown, host: string, port: number): Error {
  const code = errorCode(error);
  if (code === 'EADDRINUSE') return new AblateError(`port ${port} of ${host} is taken`, { fix: 'give another --port' });
  if (code === 'EACCES') return new AblateError(`port ${port} may not be opened`, { fix: 'give a --port of at least 1024' });
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new AblateError(`${host} is no address of this machine`, { fix: 'leave --host out' });
  }
  return error instanceof Error ? error : new Error(String(error));
}
