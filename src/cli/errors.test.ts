import { afterEach, expect, test, vi } from 'vitest';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import { Interruption, reportError } from './errors.ts';

const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
const lines = () => written.mock.calls.map(([text]) => text).join('');

afterEach(() => written.mockClear());

test('an error for the user is its message and its fix, without a stack trace', () => {
  expect(reportError(new AblateError('the disk is full', { fix: 'free some space' }))).toBe(1);
  expect(lines()).toBe('error: the disk is full\nfree some space\n');
});

test('wrong configuration and interruption have their own exit codes', () => {
  expect(reportError(new ConfigurationError('steps (=0) must be a positive integer'))).toBe(2);
  expect(reportError(new Interruption('stopped after step 7'))).toBe(130);
  expect(lines()).toBe('error: steps (=0) must be a positive integer\ninterrupted: stopped after step 7\n');
});

test('anything else is a defect and keeps its trace', () => {
  expect(reportError(new TypeError('x is not a function'))).toBe(1);
  expect(lines()).toMatch(/^unexpected error: TypeError: x is not a function\n\s+at /);
});

test('of a message that repeats a whole file, the beginning and the end are shown', () => {
  reportError(new AblateError(`begin${'x'.repeat(100_000)}end`));
  expect(lines().length).toBeLessThan(20_100);
  expect(lines()).toMatch(/^error: beginx+ \.\.\. \(80008 characters\) \.\.\. x+end\n$/);
});
