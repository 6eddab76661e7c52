import { expect, test } from 'vitest';
import { letEventsIn } from './events.ts';

test('whatever is due has its turn', async () => {
  let turned = false;
  setImmediate(() => (turned = true));
  await letEventsIn();
  expect(turned).toBe(true);
});
