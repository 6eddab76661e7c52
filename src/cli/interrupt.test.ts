import { afterEach, expect, test, vi } from 'vitest';
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

test('work that nobody stops leaves nothing behind', async () => {
  expect(await during()).toEqual({ aborted: false, exits: [], notices: 0, kept: 0 });
});
