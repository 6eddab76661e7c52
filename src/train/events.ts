/** Gives signals, timers and messages a turn. Awaiting a batch that is already there does not: only the event loop itself does. */
export function letEventsIn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
