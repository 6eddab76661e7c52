import { describe, expect, test } from 'vitest';
import { ConfigurationError } from '../util/errors.ts';
import type { EngineProbe } from './engine.ts';
import { chooseEngine, engineNames, openEngine, probeEngine, requireEngineChoice, type EngineName } from './registry.ts';

const fast: EngineProbe = { available: true, fast: true, reason: 'kernels for this processor' };
const slow: EngineProbe = { available: true, fast: false, reason: 'no kernels for this processor', fix: 'buy another' };
const missing: EngineProbe = { available: false, fast: false, reason: 'the library was not found', fix: 'install it' };

describe('the engine that nobody names', () => {
  const asked: EngineName[] = [];
  const choose = (probe: EngineProbe) => {
    asked.length = 0;
    return chooseEngine((name) => {
      asked.push(name);
      return Promise.resolve(probe);
    });
  };

  test('is the first that is fast, and no further one is looked for', async () => {
    expect(await choose(fast)).toEqual({ name: 'onednn', reason: fast.reason, isFast: true });
    expect(asked).toEqual(['onednn']);
  });

  test('is one that works, with what would be faster, where none is fast', async () => {
    const chosen = await choose(slow);
    expect(chosen).toMatchObject({ name: 'onednn', reason: slow.reason, isFast: false });
    expect(chosen.advice).toContain('buy another');
  });

  test('is never the reference engine: without another there is an error that says what is missing', async () => {
    const error: unknown = await choose(missing).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({ message: expect.stringContaining(missing.reason) as string });
    expect((error as ConfigurationError).fix).toMatch(/install it.*--engine reference/);
    expect(asked).not.toContain('reference');
  });
});

function fixOf(refuse: () => unknown): string | undefined {
  try {
    refuse();
  } catch (error) {
    return (error as ConfigurationError).fix;
  }
  return undefined;
}

test.each([
  ['cuda', 'engine (=cuda) must be one of auto, onednn, webgpu, reference', /--engine webgpu/],
  ['cuda:0', 'engine (=cuda:0) must be', /--engine webgpu/],
  ['cpu', 'engine (=cpu) must be', /it is called onednn here/],
  ['OneDNN', 'Did you mean "onednn"?', undefined],
  ['toString', 'engine (=toString) must be', undefined],
])('%s is no engine', (name, message, fix) => {
  const refuse = () => requireEngineChoice(name);
  expect(refuse).toThrow(message);
  expect(refuse).toThrow(ConfigurationError);
  if (fix !== undefined) expect(fixOf(refuse)).toMatch(fix);
});

test('an engine is opened by its name, and says it', async () => {
  for (const name of engineNames) {
    if (!(await probeEngine(name)).available) continue;
    const engine = await openEngine({ engine: name, threads: 1 });
    expect(engine.name).toBe(name);
    expect(engine.threads).toBe(1);
    expect(engine.description).not.toBe('');
    engine.dispose();
  }
  await expect(openEngine({ engine: 'cuda' as EngineName })).rejects.toThrow(ConfigurationError);
});
