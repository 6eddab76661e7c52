/**
 * What the servers of all pages have in common: they listen on this machine only, answer to their own names and their own pages only, and
 * let a page load nothing from anywhere else.
 */
import { serve } from '@hono/node-server';
import { Hono, type MiddlewareHandler } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import { readFile } from 'node:fs/promises';
import { isIP, type AddressInfo } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { basename, join } from 'node:path';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import { errorCode } from '../util/file-error.ts';
import { packageRoot } from '../util/package.ts';
import { streamFile } from './stream.ts';

export interface PageServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface ListenOptions {
  /** Default 127.0.0.1: this machine only. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port: number;
}

/** Sources that a page needs beside its own server, by the directive of its content policy. */
export interface ExtraSources {
  readonly scriptSrc?: readonly string[];
  readonly workerSrc?: readonly string[];
  readonly connectSrc?: readonly string[];
}

/** Where `npm run build` puts a page. */
export function builtPageFolder(page: string): string {
  return join(packageRoot(), 'dist', 'client', page);
}

/**
 * The routes that every page has: itself at `/`, what it is made of under `/assets/`, and before them the checks and headers.
 *
 * @param clientFolder the built page
 * @throws ConfigurationError for an empty host, which would listen on all addresses; AblateError if the page is not built
 */
export async function createPageApp(clientFolder: string, host: string, extra: ExtraSources = {}): Promise<Hono> {
  if (host.trim() === '') {
    throw new ConfigurationError('host (="") must be an address of this machine', { fix: 'leave --host out' });
  }
  const page = await readPage(clientFolder);
  const app = new Hono();
  app.use(headers(extra), onlyByItsOwnName(host), onlyFromItsOwnPages);
  app.get('/', (context) => context.html(page));
  app.get('/assets/:file', (context) => sendFile(join(clientFolder, 'assets'), context.req.param('file')));
  return app;
}

/** @throws AblateError if the port is taken, or the host is no address of this machine */
export function listen(app: Hono, { host = loopback, port }: ListenOptions): Promise<PageServer> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: host, port }, ({ port: taken }: AddressInfo) => {
      // Of an address that stands for all, browsers make nothing.
      const shown = isEveryAddress(host) ? 'localhost' : host.includes(':') ? `[${host}]` : host;
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

/** The address that only processes of this machine reach. */
export const loopback = '127.0.0.1';

/** Whether only processes of this machine reach the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function isEveryAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** The addresses by which other machines open the page at `url` of a server that listens on `host`. */
export function addressesFromElsewhere(url: string, host: string): readonly string[] {
  if (isLoopback(host)) return [];
  if (!isEveryAddress(host)) return [url];
  const addresses = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => address);
  return [hostname(), ...addresses].map((name) => url.replace('localhost', name));
}

/** A browser opens six to a host. */
const mostConnections = 100;
/** Connections on which nothing was sent for so long are closed. */
export const idleMs = 120_000;

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
    return context.text(
      `This server answers to its address, localhost and the name of its machine, not to ${JSON.stringify(asked)}: ` +
        `a page of another web site could read it by a name like that. ` +
        `Open it by its address; or start it with --host and this name, and everybody on the network can read it.\n`,
      421,
    );
  };
}

/** Refuses what a page of another origin sends: browsers name it in `Origin`, and a page's own requests have its own or none. */
const onlyFromItsOwnPages: MiddlewareHandler = async (context, next) => {
  const origin = context.req.header('origin');
  if (origin === undefined || origin.toLowerCase() === `http://${(context.req.header('host') ?? '').toLowerCase()}`) {
    await next();
    return;
  }
  return context.text('only pages of this server may ask', 403);
};

/**
 * The page is isolated from others (COOP, COEP), which browsers demand for threads; and its content policy lets it load nothing from
 * anywhere else.
 */
function headers({ scriptSrc = [], workerSrc = [], connectSrc = [] }: ExtraSources): MiddlewareHandler {
  return secureHeaders({
    crossOriginOpenerPolicy: 'same-origin',
    crossOriginEmbedderPolicy: 'require-corp',
    crossOriginResourcePolicy: 'same-origin',
    contentSecurityPolicy: {
      defaultSrc: ["'self'"],
      scriptSrc: ["'self'", ...scriptSrc],
      workerSrc: ["'self'", ...workerSrc],
      imgSrc: ["'self'", 'blob:', 'data:'],
      connectSrc: ["'self'", ...connectSrc],
      baseUri: ["'none'"],
      objectSrc: ["'none'"],
      frameAncestors: ["'none'"],
      formAction: ["'none'"],
    },
    // For plain HTTP on this machine it means nothing.
    strictTransportSecurity: false,
  });
}

async function readPage(folder: string): Promise<string> {
  try {
    return await readFile(join(folder, 'index.html'), 'utf8');
  } catch (error) {
    throw new AblateError(`the page is not built: there is no ${join(folder, 'index.html')}`, {
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
export async function sendFile(folder: string, name: string): Promise<Response> {
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
  if (code === 'EADDRINUSE')
    return new AblateError(`port ${port} of ${host} is taken`, { fix: 'give another --port, or --port 0 for a free one' });
  if (code === 'EACCES') return new AblateError(`port ${port} may not be opened`, { fix: 'give a --port of at least 1024' });
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new AblateError(`${host} is no address of this machine`, { fix: 'leave --host out' });
  }
  return error instanceof Error ? error : new Error(String(error));
}
