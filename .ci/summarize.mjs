/**
 * Adds up the results of vitest's JSON reporter: `node summarize.mjs <file> ...` prints what was skipped and why, a line a reason, then on a
 * last line the numbers of tests that passed, failed and were skipped. A file of tests that does not load counts as a failure, and so does a skipped
 * test whose name gives no reason (test/skippable.ts).
 */
import { readFileSync } from 'node:fs';

let passed = 0;
let failed = 0;
const skipped = new Map();
for (const path of process.argv.slice(2)) {
  for (const file of JSON.parse(readFileSync(path, 'utf8')).testResults) {
    const failedBefore = failed;
    for (const { status, fullName, failureMessages } of file.assertionResults) {
      if (status === 'passed') passed++;
      else if (status === 'failed') failed++;
      else {
        const reason = /\[skipped: (.*?)\]/.exec(fullName)?.[1] ?? failureMessages?.[0];
        if (reason === undefined) {
          failed++;
          console.log(`failed: skipped without a reason: ${fullName}`);
        } else skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
      }
    }
    if (file.status === 'failed' && failed === failedBefore) failed++;
  }
}
let skips = 0;
for (const [reason, count] of skipped) {
  console.log(`skipped: ${count} ${count === 1 ? 'test' : 'tests'}: ${reason}`);
  skips += count;
}
console.log(`${passed} ${failed} ${skips}`);
