import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { pageStudy } from '../../../../test/page-study.ts';
import { metricsLine, recordCheckpoint, recordPredictions, recordRun } from '../../../../test/recorded-runs.ts';
import { generateSynthetic } from '../../../data/synthetic.ts';
import { cifar10Classes } from '../../../data/cifar10.ts';
import { processState, thisProcess } from '../../../util/process-identity.ts';
import type { PageServer } from '../../page-server.ts';
import {
  pointColumns,
  tokenHeader,
  type CurvesHeader,
  type CurvesRequest,
  type LiveEvents,
  type PageState,
  type ShownActivations,
  type ShownPredictions,
  type StudyView,
} from '../protocol.ts';
import { startUi } from './server.ts';

const root = mkdtempSync(join(tmpdir(), 'ablate-ui-server-'));
const clientFolder = join(root, 'client');
mkdirSync(clientFolder);
writeFileSync(join(clientFolder, 'index.html'), '<!doctype html>');
afterAll(() => rmSync(root, { recursive: true, force: true }));

let runs = '';
beforeEach(() => {
  runs = mkdtempSync(join(root, 'runs-'));
});

async function withServer(work: (server: PageServer) => Promise<void>): Promise<void> {
  const server = await startUi({ runsFolder: runs, port: 0, clientFolder });
  try {
    await work(server);
  } finally {
    await server.close();
  }
}

async function stateOf({ url }: PageServer): Promise<PageState> {
  return (await (await fetch(`${url}api/state`)).json()) as PageState;
}

/** The answer, its points by run and metric as rows. */
async function curvesOf({ url }: PageServer, wanted: CurvesRequest) {
  const headers = { 'Content-Type': 'application/json' };
  const response = await fetch(`${url}api/curves`, { method: 'POST', headers, body: JSON.stringify(wanted) });
  expect(response.status).toBe(200);
  const bytes = await response.arrayBuffer();
  const headerBytes = new DataView(bytes).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, headerBytes))) as CurvesHeader;
  let at = 4 + headerBytes;
  const points = new Map<string, number[][]>();
  for (const { id, series } of header.runs) {
    for (const { key, points: count } of series) {
      const values = new Float32Array(bytes, at, count * pointColumns);
      at += values.byteLength;
      points.set(
        `${id} ${key}`,
        Array.from({ length: count }, (_, i) => [...values.subarray(i * pointColumns, (i + 1) * pointColumns)]),
      );
    }
  }
  expect(at).toBe(bytes.byteLength);
  return { header, points };
}

const everything = (ids: readonly string[], keys: readonly string[] = ['train/loss', 'test/accuracy']): CurvesRequest => ({
  runs: ids.map((id) => ({ id })),
  keys,
  most: 1000,
});

test('runs with what was chosen for them, how far they are and what they reached', async () => {
  recordRun(runs, { number: 1 });
  recordRun(runs, { number: 2, share: 0.5, overrides: { lrn: false, seed: 3, val: true } });
  await withServer(async (server) => {
    const { runs: rows, studies, folder } = await stateOf(server);
    expect(folder).toBe(runs);
    expect(studies).toEqual([]);
    expect(rows.map(({ id, state, step, steps }) => ({ id, state, step, steps }))).toEqual([
      { id: 'tuto/1', state: 'finished', step: 1000, steps: 1000 },
      { id: 'tuto/2', state: 'interrupted', step: 500, steps: 1000 },
    ]);
    expect(rows[0]!.accuracy).toBeCloseTo(0.787, 1);
    expect(rows[0]!.trainLoss).toBeCloseTo(0.63, 0);
    expect(rows[0]!.choices).toMatchObject({ recipe: '2017', dataset: 'cifar10', trainImages: 50_000, parameters: 1_068_298 });
    expect(rows[1]!.choices).toMatchObject({ seed: 3, changes: { 'model.lrn': 'false', val: 'true' }, trainImages: 45_000 });
    expect(rows[1]!.choices!.config).toMatchObject({ 'model.lrn': 'false', batchSize: '128' });
  });
});

test('no folder yet is no runs', async () => {
  runs = join(runs, 'missing');
  await withServer(async (server) => {
    expect(await stateOf(server)).toMatchObject({ runs: [], studies: [] });
    expect((await stateOf(server)).problem).toBeUndefined();
  });
});

test('whatever lies in the folder, the other runs are shown, and what cannot be read says why', async () => {
  recordRun(runs, { number: 1 });
  const odd = { model: '<img src=x onerror=alert(1)>\n"\'', number: 1 };
  const valid = JSON.parse(readFileSync(join(runs, 'tuto', '1', 'config.json'), 'utf8')) as object;
  const plant = (model: string, number: number, files: Readonly<Record<string, string>>) => {
    const path = join(runs, model, String(number));
    mkdirSync(path, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
    return path;
  };
  plant(odd.model, 1, { 'config.json': JSON.stringify({ ...valid, model: odd.model }), 'status.json': '{' });
  plant('damaged', 1, { 'config.json': '[1', 'status.json': '[]', 'metrics.jsonl': '\0\0\n{}\n' });
  plant('deep', 1, { 'config.json': `{"model":"deep","x":${'['.repeat(9000)}${']'.repeat(9000)}}` });
  plant('nested', 1, { 'config.json': `${'{"a":'.repeat(9000)}1${'}'.repeat(9000)}` });
  plant('wrong', 1, { 'config.json': JSON.stringify({ ...valid, modelSettings: null, batchSize: 'many', seed: {} }) });
  execFileSync('mkfifo', [join(plant('pipe', 1, { 'config.json': JSON.stringify(valid) }), 'metrics.jsonl')]);
  execFileSync('mkfifo', [join(plant('pipe', 2, {}), 'config.json')]);
  mkdirSync(join(plant('folder', 1, { 'config.json': JSON.stringify(valid) }), 'metrics.jsonl'));
  writeFileSync(join(runs, 'notes.txt'), 'a file');
  await withServer(async (server) => {
    const { runs: rows } = await stateOf(server);
    const states = Object.fromEntries(rows.map(({ id, state }) => [id, state]));
    expect(states['tuto/1']).toBe('finished');
    expect(states[`${odd.model}/1`]).toBe('unreadable');
    expect(rows.find(({ id }) => id === 'damaged/1')!.reason).toContain('status.json cannot be read');
    expect(Object.keys(states).sort()).toEqual(
      [`${odd.model}/1`, 'damaged/1', 'deep/1', 'folder/1', 'nested/1', 'pipe/1', 'pipe/2', 'tuto/1', 'wrong/1'].sort(),
    );
    const { header } = await curvesOf(server, everything(Object.keys(states)));
    const problems = Object.fromEntries(header.runs.map(({ id, problem }) => [id, problem]));
    expect(problems['tuto/1']).toBeUndefined();
    expect(problems['pipe/1']).toContain('it is a pipe, not a file');
    expect(problems['folder/1']).toContain('it is a folder, not a file');
    expect(problems['deep/1']).toContain('no such file');
    expect(header.runs.find(({ id }) => id === 'damaged/1')!.damagedLines).toBe(2);
  });
});

test('a clock that jumps changes neither the order of the curves nor what is left to do', async () => {
  const status = { status: 'running', ...thisProcess() };
  const path = recordRun(runs, { number: 1, share: 0.5, status, overrides: { evalEvery: 0 } });
  const record = (step: number, time: string) =>
    `${JSON.stringify({ step, time, 'train/loss': 1, 'train/imagesPerSecond': 1280 })}\n`;
  const clocks = ['1970-01-01T00:00:00.000Z', '2026-01-31T12:00:50.000Z', 'no time', '2031-01-01T00:00:00.000Z'];
  writeFileSync(join(path, 'metrics.jsonl'), clocks.map((time, i) => record(100 * (i + 1), time)).join(''));
  writeFileSync(
    join(path, 'status.json'),
    JSON.stringify({ ...status, step: 400, steps: 1000, updatedAt: '2099-01-01T00:00:00.000Z' }),
  );
  await withServer(async (server) => {
    const [row] = (await stateOf(server)).runs;
    // 600 steps of 0.1 s: by the speed of the steps.
    expect(row).toMatchObject({ state: 'running', step: 400, secondsLeft: expect.closeTo(60, 6) as number });
    const { points } = await curvesOf(server, everything(['tuto/1'], ['train/loss']));
    const rows = points.get('tuto/1 train/loss')!;
    expect(rows.map(([step]) => step)).toEqual([100, 200, 300, 400]);
    rows.forEach(([, seconds], i) => expect(seconds).toBeCloseTo(10 * (i + 1), 4));
  });
});

describe('curves', () => {
  test('all records of the metrics asked for, with the seconds of training', async () => {
    recordRun(runs, { number: 1, records: 4, evaluations: 2 });
    await withServer(async (server) => {
      await stateOf(server);
      const { header, points } = await curvesOf(server, everything(['tuto/1']));
      expect(header.runs[0]).toMatchObject({ id: 'tuto/1', more: false, damagedLines: 0 });
      expect(header.runs[0]!.keys).toEqual(
        expect.arrayContaining(['train/loss', 'train/learningRate', 'train/imagesPerSecond', 'test/accuracy', 'test/loss']),
      );
      const loss = points.get('tuto/1 train/loss')!;
      expect(loss.map(([step]) => step)).toEqual([250, 500, 750, 1000]);
      // 128 images a step, about 1280 a second.
      expect(loss.map(([, seconds]) => Math.round(seconds!))).toEqual([25, 50, 75, 100]);
      expect(loss.every(([, , least, greatest, mean]) => least === mean && greatest === mean)).toBe(true);
      expect(points.get('tuto/1 test/accuracy')!.map(([step, seconds]) => [step, Math.round(seconds!)])).toEqual([
        [500, 50],
        [1000, 100],
      ]);
    });
  });

  test('with what is there already, only what is new is sent, and all of it after the file was replaced', async () => {
    const path = join(recordRun(runs, { number: 1, records: 4, evaluations: 0, share: 0.5 }), 'metrics.jsonl');
    await withServer(async (server) => {
      await stateOf(server);
      const ask = async (have: object) =>
        await curvesOf(server, { ...everything(['tuto/1'], ['train/loss']), runs: [{ id: 'tuto/1', have: have as never }] });
      const first = (await ask({})).header.runs[0]!.series[0]!;
      expect(first).toMatchObject({ unit: 1, first: 0, points: 4 });
      const cursor = { 'train/loss': { generation: first.generation, unit: first.unit, points: first.points } };
      appendFileSync(path, metricsLine(600, { 'train/loss': 0.5 }) + metricsLine(700, { 'train/loss': 0.25 }).slice(0, 30));
      const second = await ask(cursor);
      expect(second.header.runs[0]!.series[0]).toMatchObject({ generation: first.generation, first: 3, points: 2 });
      expect(second.points.get('tuto/1 train/loss')!.map(([step, , , , loss]) => [step, loss])[1]).toEqual([600, 0.5]);
      // As a training that is resumed does.
      rmSync(path);
      writeFileSync(path, metricsLine(100, { 'train/loss': 2 }));
      const third = (await ask(cursor)).header.runs[0]!.series[0]!;
      expect(third).toMatchObject({ first: 0, points: 1 });
      expect(third.generation).not.toBe(first.generation);
    });
  });

  test('a file of a million lines is read in parts, and nothing else waits for it', async () => {
    const path = join(recordRun(runs, { number: 1, records: 2 }), 'metrics.jsonl');
    recordRun(runs, { number: 2 });
    let step = 2000;
    for (let part = 0; part < 100; part++) {
      appendFileSync(
        path,
        Array.from({ length: 10_000 }, () => metricsLine(++step, { 'train/loss': (step % 100) / 100 })).join(''),
      );
    }
    await withServer(async (server) => {
      await stateOf(server);
      const asked = curvesOf(server, everything(['tuto/1']));
      const began = performance.now();
      await stateOf(server);
      expect(performance.now() - began).toBeLessThan(2000);
      let { header, points } = await asked;
      expect(header.runs[0]!.more).toBe(true);
      while (header.runs[0]!.more) ({ header, points } = await curvesOf(server, everything(['tuto/1'])));
      const loss = points.get('tuto/1 train/loss')!;
      expect(loss.length).toBeGreaterThan(400);
      expect(loss.length).toBeLessThanOrEqual(1000);
      expect(loss.at(-1)![0]).toBe(1_002_000);
      expect(loss.slice(1, -1).every(([, , least, greatest]) => least === 0 && Math.abs(greatest! - 0.99) < 1e-6)).toBe(true);
    });
  });

  test('names that are no runs lead nowhere, and requests that are none are refused', async () => {
    recordRun(runs, { number: 1 });
    await withServer(async (server) => {
      await stateOf(server);
      const ids = ['../tuto/1', 'tuto/2', 'tuto/1/../1', '__proto__', ''];
      expect((await curvesOf(server, everything(ids))).header.runs).toEqual([]);
      for (const body of [
        '',
        '[]',
        '{"runs":1}',
        JSON.stringify({ ...everything([]), most: 0 }),
        `{"runs":[${'1,'.repeat(9)}]}`,
      ]) {
        expect((await fetch(`${server.url}api/curves`, { method: 'POST', body })).status).toBe(400);
      }
      const long = JSON.stringify(everything(['x'.repeat(2_000_000)]));
      expect((await fetch(`${server.url}api/curves`, { method: 'POST', body: long })).status).toBe(413);
    });
  });
});

describe('live', () => {
  /** Reads events until `isEnough` of all that has come. */
  async function events(server: PageServer, isEnough: (told: Told) => boolean, change: () => void): Promise<Told> {
    const controller = new AbortController();
    const response = await fetch(`${server.url}api/events`, { signal: controller.signal });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const told: Told = { runs: [], grown: [], studies: [] };
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    let isChanged = false;
    const limit = setTimeout(() => controller.abort(), 15_000);
    try {
      while (!isEnough(told)) {
        const { value, done } = await reader.read();
        if (done) break;
        if (!isChanged) change();
        isChanged = true;
        text += value;
        const parts = text.split('\n\n');
        text = parts.pop()!;
        for (const part of parts) {
          const [, kind, data] = /^event: (\w+)\ndata: (.*)$/.exec(part) ?? [];
          if (kind !== undefined) (told[kind as keyof Told] as unknown[]).push(JSON.parse(data!));
        }
      }
    } finally {
      clearTimeout(limit);
      controller.abort();
    }
    return told;
  }

  interface Told {
    readonly runs: LiveEvents['runs'][];
    readonly grown: LiveEvents['grown'][];
    readonly studies: LiveEvents['studies'][];
  }

  const running = { status: 'running', ...thisProcess() };

  test('new records, new runs and runs that are removed are told', async () => {
    const path = recordRun(runs, { number: 1, share: 0.5, status: running });
    recordRun(runs, { number: 2 });
    await withServer(async (server) => {
      await stateOf(server);
      const grown = await events(
        server,
        (told) => told.grown.length > 0 && told.runs.some(({ changed }) => changed.some(({ trainLoss }) => trainLoss === 0.125)),
        () => {
          appendFileSync(join(path, 'metrics.jsonl'), metricsLine(510, { 'train/loss': 0.125 }));
        },
      );
      expect(grown.grown.flat()).toContain('tuto/1');
      const others = await events(
        server,
        ({ runs: told }) => told.some(({ removed }) => removed.length > 0),
        () => {
          recordRun(runs, { number: 3 });
          rmSync(join(runs, 'tuto', '2'), { recursive: true });
        },
      );
      expect(others.runs.flatMap(({ changed }) => changed.map(({ id }) => id))).toContain('tuto/3');
      expect(others.runs.flatMap(({ removed }) => removed)).toEqual(['tuto/2']);
    });
  });

  test('a run whose process is killed is interrupted', async () => {
    const child = spawn('sleep', ['60']);
    recordRun(runs, { number: 1, share: 0.5, status: { ...running, pid: child.pid, startTicks: undefined } });
    await withServer(async (server) => {
      expect((await stateOf(server)).runs[0]!.state).toBe('running');
      const told = await events(
        server,
        ({ runs: changes }) => changes.some(({ changed }) => changed.some(({ state }) => state === 'interrupted')),
        () => child.kill('SIGKILL'),
      );
      expect(told.runs.at(-1)!.changed[0]).toMatchObject({
        id: 'tuto/1',
        state: 'interrupted',
        reason: `process ${child.pid} is gone`,
      });
      expect(processState({ pid: child.pid!, host: thisProcess().host })).toBe('dead');
    });
  });
});

describe('other pages and other names', () => {
  function ask(server: PageServer, path: string, headers: Readonly<Record<string, string>>, method = 'GET'): Promise<number> {
    return new Promise((resolve, reject) => {
      const asked = request(`${server.url}${path}`, { headers, method, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode!);
      });
      asked.once('error', reject);
      asked.end();
    });
  }

  test('a name that was pointed at this machine, and pages of other origins, get nothing', async () => {
    recordRun(runs, { number: 1 });
    await withServer(async (server) => {
      const { host, port } = new URL(server.url);
      for (const path of ['', 'api/state', 'api/study?name=x']) {
        expect(await ask(server, path, { host: 'evil.example' })).toBe(421);
        for (const origin of [
          'http://evil.example',
          'null',
          'https://127.0.0.1',
          `http://localhost:${port}`,
          'http://127.0.0.1:1',
        ]) {
          expect(await ask(server, path, { host, origin }), origin).toBe(403);
        }
      }
      expect(await ask(server, 'api/curves', { host, origin: 'http://evil.example' }, 'POST')).toBe(403);
      expect(await ask(server, 'api/state', { host, origin: `http://${host}` })).toBe(200);
    });
  });

  test('the page may load nothing from elsewhere, and no page may hold it', async () => {
    await withServer(async (server) => {
      const { headers } = await fetch(server.url);
      const policy = headers.get('content-security-policy')!;
      expect(policy.split('; ')).toEqual(
        expect.arrayContaining(["default-src 'self'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]),
      );
      expect(policy).not.toMatch(/unsafe|\*|https?:/);
      expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
      expect((await fetch(server.url)).headers.get('access-control-allow-origin')).toBeNull();
    });
  });
});

describe('stopping a run', () => {
  const token = 'f00d'.repeat(8);

  async function stop(options: { readonly token?: string }, sent: Readonly<Record<string, string>>, id = 'tuto/1') {
    const server = await startUi({ runsFolder: runs, port: 0, clientFolder, ...options });
    try {
      const { control } = await stateOf(server);
      const response = await fetch(`${server.url}api/stop?id=${encodeURIComponent(id)}`, { method: 'POST', headers: sent });
      return { control, status: response.status, text: await response.text() };
    } finally {
      await server.close();
    }
  }

  /** A run that a process holds. */
  function held(pid: number, host = hostname()): void {
    const path = recordRun(runs, { number: 1, share: 0.5 });
    mkdirSync(join(path, 'lock'));
    writeFileSync(join(path, 'lock', `held.${pid}..token.${host}`), '');
  }

  test('only with the token, and only where it was asked for', async () => {
    const child = spawn('sleep', ['60']);
    const ended = new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)));
    held(child.pid!);
    expect(await stop({}, { [tokenHeader]: token })).toMatchObject({ control: false, status: 403 });
    expect(await stop({ token }, {})).toMatchObject({ control: true, status: 403 });
    for (const wrong of ['', 'x', `${token}0`, token.replace('f', 'e')]) {
      expect(await stop({ token }, { [tokenHeader]: wrong })).toMatchObject({ status: 403 });
    }
    expect(await stop({ token }, { [tokenHeader]: token, Origin: 'http://elsewhere' })).toMatchObject({ status: 403 });
    expect(await stop({ token }, { [tokenHeader]: token }, 'tuto/2')).toMatchObject({ status: 404 });
    expect(child.exitCode ?? child.signalCode).toBeNull();
    expect(await stop({ token }, { [tokenHeader]: token })).toMatchObject({ status: 200 });
    expect(await ended).toBe('SIGTERM');
    expect(await stop({ token }, { [tokenHeader]: token })).toMatchObject({ status: 409, text: 'tuto/1 is not trained now' });
  });

  test('a run of another machine is left alone', async () => {
    held(process.pid, 'elsewhere');
    expect(await stop({ token }, { [tokenHeader]: token })).toMatchObject({
      status: 409,
      text: 'tuto/1 is trained on elsewhere, and can be stopped there alone',
    });
  });
});

describe('pictures', () => {
  test('what was said of each image, with the pictures, and what the layers make of them', async () => {
    const synthetic = generateSynthetic();
    const path = recordRun(runs, { number: 1, classes: synthetic.classes, overrides: { dataset: 'synthetic' } });
    recordPredictions(path, synthetic);
    await recordCheckpoint(path, 1000);
    const other = recordRun(runs, { number: 2, classes: synthetic.classes, overrides: { dataset: 'synthetic' } });
    recordPredictions(other, { ...synthetic, fingerprint: 'other' });
    recordRun(runs, { number: 3 });
    await withServer(async (server) => {
      await stateOf(server);
      const ask = (what: string, query: Readonly<Record<string, string>>) =>
        fetch(`${server.url}api/${what}?${new URLSearchParams(query).toString()}`);
      const id = 'tuto/1';
      const all = (await (await ask('predictions', { id })).json()) as ShownPredictions;
      expect(all.total).toBe(Math.ceil(synthetic.test.count / 7));
      expect(all.items).toHaveLength(60);
      expect(all.items.every(({ image, label, prediction }) => image % 7 === 0 && prediction === (label + 1) % 10)).toBe(true);
      const next = (await (await ask('predictions', { id, first: '60' })).json()) as ShownPredictions;
      expect(next.items[0]!.probability).toBeLessThanOrEqual(all.items[59]!.probability);
      const cell = (await (await ask('predictions', { id, label: '3', prediction: '3' })).json()) as ShownPredictions;
      expect(cell.items.every(({ label, prediction }) => label === 3 && prediction === 3)).toBe(true);
      expect((await ask('predictions', { id, label: 'x' })).status).toBe(400);
      expect((await ask('predictions', { id: 'tuto/3' })).status).toBe(404);
      const picture = await ask('picture.png', { id, image: '5' });
      const pixels = await sharp(Buffer.from(await picture.arrayBuffer()))
        .raw()
        .toBuffer();
      const plane = 32 * 32;
      const first = 5 * 3 * plane;
      const expected = [first, first + plane, first + 1].map((at) => synthetic.test.images[at]);
      expect([pixels[0], pixels[1], pixels[3]]).toEqual(expected);
      const activations = (await (await ask('activations', { id, image: '5' })).json()) as ShownActivations;
      const names = activations.layers.map(({ name }) => name);
      expect(names).toEqual(['input', 'conv1', 'pool1', 'lrn1', 'conv2', 'lrn2', 'pool2']);
      expect(activations.probabilities.map(({ label }) => label)).toEqual(synthetic.classes);
      const refused = await ask('picture.png', { id: 'tuto/2', image: '5' });
      expect([refused.status, await refused.text()]).toEqual([
        404,
        'the data set has other images than the run was evaluated on',
      ]);
      expect((await ask('picture.png', { id, image: '2000' })).status).toBe(404);
      for (const image of ['-1', '1e3', '', '../x']) expect((await ask('picture.png', { id, image })).status).toBe(404);
    });
  });

  test('a data set that is not on this machine is said to be missing', async () => {
    recordRun(runs, { number: 1 });
    const server = await startUi({ runsFolder: runs, port: 0, clientFolder, dataDir: join(root, 'nowhere') });
    try {
      await stateOf(server);
      expect((await fetch(`${server.url}api/picture.png?id=tuto/1&image=0`)).status).toBe(404);
    } finally {
      await server.close();
    }
  });
});

test('a study that is not there', async () => {
  await withServer(async ({ url }) => {
    expect((await fetch(`${url}api/study?name=none`)).status).toBe(404);
    expect((await fetch(`${url}api/study`)).status).toBe(404);
  });
});

test('effects over the seeds that have finished, and how long the rest takes', async () => {
  const text = pageStudy;
  const seeds = [1, 2, 3];
  const variants = { baseline: {}, 'no augmentation': { augment: false, inputSize: 24 }, 'no LRN': { lrn: false } };
  const common = { steps: 200, evalEvery: 100, saveEverySeconds: 60, keepCheckpoints: 1 };
  let number = 0;
  const recorded = seeds.flatMap((seed) =>
    Object.entries(variants).map(([variant, overrides]) => {
      number++;
      const isOver = number <= 7;
      const accuracy = variant === 'baseline' ? 0.5 : 0.6;
      recordRun(runs, {
        number,
        accuracy,
        share: isOver ? 1 : number === 8 ? 0.5 : 0,
        overrides: { ...common, ...overrides, seed },
        ...(number === 8 && { status: { status: 'running', ...thisProcess() } }),
      });
      return { variant, seed, run: `tuto/${number}`, state: isOver ? 'finished' : number === 8 ? 'running' : 'waiting' };
    }),
  );
  const dataset = {
    name: 'cifar10',
    fingerprint: 'x',
    synthetic: false,
    classes: cifar10Classes,
    shape: [3, 32, 32],
    train: { count: 50_000 },
  };
  const folder = join(runs, '.studies', 'quick-start');
  mkdirSync(folder, { recursive: true });
  const state = { format: 'ablate-study-1', name: 'quick-start', file: { path: 'studies/quick-start.yaml', text }, dataset };
  writeFileSync(join(folder, 'study.json'), JSON.stringify({ ...state, runs: recorded, updatedAt: '2026-01-31T12:00:00.000Z' }));
  await withServer(async (server) => {
    const { studies, runs: rows } = await stateOf(server);
    expect(studies).toMatchObject([
      { name: 'quick-start', title: 'A first study of tuto', runs: 9, finished: 7, running: 1, failed: 0 },
    ]);
    expect(rows[0]!.studies).toEqual(['quick-start']);
    const view = (await (await fetch(`${server.url}api/study?name=quick-start`)).json()) as StudyView;
    expect(view.problem).toBeUndefined();
    expect(view.effects.map(({ name, seeds: common, verdict }) => ({ name, common, verdict }))).toEqual([
      { name: 'no augmentation', common: [1, 2], verdict: expect.any(String) as string },
      { name: 'no LRN', common: [1, 2], verdict: expect.any(String) as string },
    ]);
    expect(view.hypotheses).toMatchObject([
      {
        hypothesis: 'Augmentation is key',
        answer: 'does not hold',
        changes: [{ name: 'no augmentation', effect: { seeds: [1, 2] } }],
      },
    ]);
    expect(view.effects[0]!.difference).toBeCloseTo(0.1, 1);
    expect(view.effects[0]!.low).toBeLessThan(view.effects[0]!.difference);
    expect(view.variants.map(({ name, runs: cells }) => [name, ...cells.map((cell) => cell.state)])).toEqual([
      ['baseline', 'finished', 'finished', 'finished'],
      ['no augmentation', 'finished', 'finished', 'running'],
      ['no LRN', 'finished', 'finished', 'waiting'],
    ]);
    expect(view.variants[2]!.changes).toEqual({ 'model.lrn': 'false' });
    // One and a half runs of 200 steps of 0.1 s.
    expect(view.secondsLeft).toBeGreaterThan(29);
    expect(view.secondsLeft).toBeLessThan(33);
    // Another run in the place of one that was removed is not this study's.
    rmSync(join(runs, 'tuto', '1'), { recursive: true });
    recordRun(runs, { number: 1, overrides: { ...common, learningRate: 0.3 } });
    await stateOf(server);
    const later = (await (await fetch(`${server.url}api/study?name=quick-start`)).json()) as StudyView;
    expect(later.variants[0]!.runs[0]).toMatchObject({ seed: 1 });
    expect(later.variants[0]!.runs[0]!.id).toBeUndefined();
    expect(later.effects[0]!.seeds).toEqual([2]);
    writeFileSync(
      join(folder, 'study.json'),
      '{"format":"ablate-study-1","file":{"text":"a: [","path":"x"},"runs":7,"dataset":{}}',
    );
    expect((await stateOf(server)).studies[0]!.problem).toContain('runs (=7) must be a list');
    expect(((await (await fetch(`${server.url}api/study?name=quick-start`)).json()) as StudyView).variants).toEqual([]);
  });
});
