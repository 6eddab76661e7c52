import { afterEach, expect, test, vi } from 'vitest';
import { toldLater } from '../../test/told.ts';
import { ConfigurationError } from '../util/errors.ts';
import { interruptible } from './interrupt.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

/** Emits signals as the operating system would, while work goes on that ends when it is aborted. */
async function during(...sent: readonly NodeJS.Signals[]) {
  const exit = vi.spyOn(process, 'exit').mockImplementation((() => undefined) as never);
  const said = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  const listeners = process.rawListeners('SIGTERM').length;
  const aborted = await interruptible('stopping', (signal) => {
    for (const name of sent) process.emit(name, name);
    return Promise.resolve(signal.aborted);
  });
  const kept = process.rawListeners('SIGTERM').length - listeners;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) {
    for (const listener of process.listeners(name).slice(-kept || Infinity)) process.off(name, listener);
  }
  return { aborted, exits: exit.mock.calls.flat(), notices: said.mock.calls.length, kept };
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const)('%s stops work in order', async (name) => {
  expect(await during(name)).toEqual({ aborted: true, exits: [], notices: 1, kept: 1 });
});

test('only a second Ctrl-C or Ctrl-\\ ends the process at once', async () => {
  for (const name of ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
    expect(await during('SIGINT', name, name)).toMatchObject({ aborted: true, exits: [], notices: 1 });
  }
  for (const name of ['SIGINT', 'SIGQUIT'] as const) expect(await during('SIGTERM', name)).toMatchObject({ exits: [130] });
});

test('work that ends with the reason of the signal was stopped; other errors are told as they are', async () => {
  vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  const run = async (isReason: boolean) => {
    const work = interruptible(
      'stopping',
      (signal) => {
        process.emit('SIGTERM', 'SIGTERM');
        return Promise.reject(isReason ? (signal.reason as Error) : new ConfigurationError('another'));
      },
      'nothing is written',
    );
    const told = await toldLater(work);
    process.removeAllListeners('SIGTERM');
    return told;
  };
  const others = process.rawListeners('SIGTERM');
  expect(await run(true)).toEqual({ kind: 'Interruption', message: 'nothing is written', fix: undefined });
  expect(await run(false)).toEqual({ kind: 'ConfigurationError', message: 'another', fix: undefined });
  for (const listener of others) process.on('SIGTERM', listener as () => void);
});

test('work that nobody stops leaves nothing behind', async () => {
  expect(await during()).toEqual({ aborted: false, exits: [], notices: 0, kept: 0 });
});
