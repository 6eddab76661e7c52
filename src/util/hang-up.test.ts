import { expect, test } from 'vitest';
import { hangUpIsIgnored, type HangUpSigns } from './hang-up.ts';

/** Of a process that a shell has started in a terminal: proc(5). */
const usual: HangUpSigns = {
  atStart: undefined,
  parentStatus: 'Name:\tbash\nSigBlk:\t0000000000010000\nSigIgn:\t0000000000384004\nSigCgt:\t000000004b817efb\n',
  standardInput: 'pos:\t0\nflags:\t02100002\nmnt_id:\t25\n',
  command: '/usr/bin/ablate',
};

test('a hang-up counts unless something says that it was to be ignored', () => {
  expect(hangUpIsIgnored(usual)).toBe(false);
  expect(hangUpIsIgnored({ atStart: undefined, parentStatus: undefined, standardInput: undefined, command: undefined })).toBe(
    false,
  );
  // Read-only, as `< /dev/null` opens it; read and write, as a terminal is.
  for (const flags of ['0100000', '02', '0100002'])
    expect(hangUpIsIgnored({ ...usual, standardInput: `flags:\t${flags}\n` })).toBe(false);
  for (const command of ['nohup.sh', '/opt/nohup/ablate', 'my-nohup']) expect(hangUpIsIgnored({ ...usual, command })).toBe(false);
  // SigCgt's lowest bit is set here: caught, not ignored.
  expect(hangUpIsIgnored({ ...usual, parentStatus: 'SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n' })).toBe(false);
});

test('a parent that ignores it, an input that nohup opened, the command nohup, or what the user says', () => {
  expect(hangUpIsIgnored({ ...usual, atStart: 'ignored' })).toBe(true);
  expect(hangUpIsIgnored({ ...usual, parentStatus: 'SigBlk:\t0\nSigIgn:\t0000000000001001\n' })).toBe(true);
  expect(hangUpIsIgnored({ ...usual, parentStatus: 'SigIgn:\t000000000000000f\n' })).toBe(true);
  expect(hangUpIsIgnored({ ...usual, standardInput: 'pos:\t0\nflags:\t0100001\n' })).toBe(true);
  expect(hangUpIsIgnored({ ...usual, standardInput: 'flags:\t0105\n' })).toBe(true);
  for (const command of ['nohup', '/usr/bin/nohup']) expect(hangUpIsIgnored({ ...usual, command })).toBe(true);
});
