/** Writes README's table of results anew, after a record under docs/results/ was changed: `npm run results`. */
import { readFileSync } from 'node:fs';
import { readmePath, withResultsTable } from '../bench/results-table.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';

writeFileAtomic(readmePath, await withResultsTable(readFileSync(readmePath, 'utf8')));
