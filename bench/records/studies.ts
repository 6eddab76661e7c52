/**
 * The reports of studies under docs/studies/. Each is made of its record, report.json, alone: `npm run results` writes them anew, so that a figure or a table
 * can change without the runs, and a test keeps them true.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ReportData } from '../../src/report/report-data.ts';

const folder = fileURLToPath(new URL('../../docs/studies/', import.meta.url));

export interface RecordedStudy {
  readonly folder: string;
  readonly data: ReportData;
}

export function recordedStudies(): readonly RecordedStudy[] {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((study) => existsSync(join(study, 'report.json')))
    .map((study) => ({ folder: study, data: readRecord(join(study, 'report.json')) }));
}

/** What JSON leaves out is undefined in the program. */
export function readRecord(path: string): ReportData {
  return JSON.parse(readFileSync(path, 'utf8')) as ReportData;
}
