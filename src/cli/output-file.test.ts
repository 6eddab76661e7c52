import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { watchFs } from '../../test/watched-fs.ts';
import { claimFolder, claimOutput, claimReport, writeTogether, type ReportClaim } from './output-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-output-'));
afterAll(() => rmSync(folder, { recursive: true }));

const study: ReportClaim = { record: 'report.json', key: 'name', of: 'lrn', force: false };
const compression: ReportClaim = { record: 'compress.json', key: 'source', of: 'tuto/1', force: false };

test.each<[string, Readonly<Record<string, string>>, ReportClaim, RegExp | undefined]>([
  ['nothing', {}, study, undefined],
  ["the user's own notes", { 'notes.txt': 'mine' }, study, undefined],
  ['an earlier report of the study', { 'index.html': '', 'report.json': '{"name":"lrn"}' }, study, undefined],
  [
    'that of another study',
    { 'index.html': '', 'report.json': '{"name":"other"}' },
    study,
    /has the report of other, which is not of lrn/,
  ],
  ['a page that no report made', { 'index.html': '' }, study, /has index\.html, which is not of lrn/],
  ['a damaged record', { 'report.json': '{' }, study, /has report\.json, which is not of lrn/],
  ['that of a compression', { 'compress.json': '{"source":"lrn"}' }, study, /has compress\.json, which is not of lrn/],
  ['an earlier report of the compression', { 'compress.json': '{"source":"tuto/1"}' }, compression, undefined],
  [
    'that of another network',
    { 'compress.json': '{"source":"tuto/2"}' },
    compression,
    /has the report of tuto\/2, which is not of tuto\/1/,
  ],
])('a folder with %s', (name, files, claim, refused) => {
  const place = join(folder, name.replaceAll(/\W/g, '-'));
  mkdirSync(place);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(place, file), text);
  const claimed = (force: boolean) => () => {
    claimReport(place, { ...claim, force });
  };
  if (refused === undefined) expect(claimed(false)).not.toThrow();
  else expect(claimed(false)).toThrow(refused);
  expect(claimed(true)).not.toThrow();
});

test('what is no folder, or is in none, is told before the work', () => {
  const file = join(folder, 'a-file');
  writeFileSync(file, '');
  const claim = (place: string) => () => {
    claimReport(place, { ...study, force: true });
  };
  expect(claim(file)).toThrow(`cannot write a report to ${file}: it is not a folder`);
  expect(claim(join(file, 'below', 'it'))).toThrow(
    `cannot write a report to ${join(file, 'below', 'it')}: ${file} is not a folder`,
  );
  expect(claim('/dev/null')).toThrow('cannot write a report to /dev/null: it is not a folder');
});

test('a folder that is not there is free', () => {
  expect(() => {
    claimReport(join(folder, 'missing'), study);
  }).not.toThrow();
});

test('a folder and a file of one result appear together, or what was there stays', () => {
  const place = join(folder, 'together');
  mkdirSync(place);
  const files = ['net.c', 'net.h', 'net.tflite'];
  for (const name of files) writeFileSync(join(place, name), 'old');
  const contents = () => files.map((name) => readFileSync(join(place, name), 'utf8'));
  const code = claimFolder(place, ['net.c', 'net.h'], { source: 'net/1', force: true, mark: '' });
  const model = claimOutput(join(place, 'net.tflite'), { source: 'net/1', what: 'export', force: true });
  const write = () =>
    writeTogether([
      code.prepare(
        new Map([
          ['net.c', 'new'],
          ['net.h', 'new'],
        ]),
      ),
      model.prepare(new TextEncoder().encode('new')),
    ]);
  let writes = 0;
  const onFullDisk = () => {
    watchFs(({ name }) => {
      if (name !== 'writeFileSync') return;
      writes++;
      if (writes === 3) throw Object.assign(new Error('full'), { code: 'ENOSPC', syscall: 'write' });
    }, write);
  };
  expect(onFullDisk).toThrow(/net\.tflite: no space left on the device/);
  expect(contents()).toEqual(['old', 'old', 'old']);
  expect(write()).toEqual(files.map((name) => join(place, name)));
  expect(contents()).toEqual(['new', 'new', 'new']);
});
