/** The engines by name, and which one computes where nobody says it. An engine's modules are imported when it is opened or looked for. */
import { ConfigurationError, messageOf } from '../util/errors.ts';
import { didYouMean } from '../util/suggest.ts';
import type { Engine, EngineProbe } from './engine.ts';

export const engineNames = ['onednn', 'webgpu', 'reference'] as const;

export type EngineName = (typeof engineNames)[number];

/** What may be asked for: an engine, or the best that there is. */
export const engineChoices = ['auto', ...engineNames] as const;

export type EngineChoice = (typeof engineChoices)[number];

export interface EngineOptions {
  /** Threads of this process that compute, where the processor does, a positive integer; default: the physical cores. */
  readonly threads?: number | undefined;
}

interface EngineDefinition {
  /** Whether it is taken unasked; the reference engine computes nothing in a reasonable time. */
  readonly forAuto: boolean;
  /** Never throws: what is missing is in the answer. */
  probe(): Promise<EngineProbe>;
  open(options: EngineOptions): Promise<Engine>;
}

/** In the order in which they are taken unasked. */
const engines: Readonly<Record<EngineName, EngineDefinition>> = {
  onednn: {
    forAuto: true,
    async probe() {
      try {
        const { probeEngine } = await import('./onednn/probe.ts');
        return probeEngine();
      } catch (error) {
        // koffi's own binary may be missing for this platform.
        return { available: false, fast: false, reason: `koffi does not load: ${messageOf(error)}`, fix: 'npm ci' };
      }
    },
    async open({ threads }) {
      const { createOnednnEngine } = await import('./onednn/engine.ts');
      return createOnednnEngine(threads === undefined ? {} : { threads });
    },
  },
  webgpu: {
    forAuto: true,
    async probe() {
      const { probeAdapter } = await import('./webgpu/probe.ts');
      return await probeAdapter();
    },
    async open() {
      const { openWebgpuEngine } = await import('./webgpu/adapter.ts');
      return await openWebgpuEngine();
    },
  },
  reference: {
    forAuto: false,
    probe: () => Promise.resolve({ available: true, fast: false, reason: 'plain TypeScript, slow' }),
    async open() {
      const { referenceEngine } = await import('./reference/engine.ts');
      return referenceEngine;
    },
  },
};

/** What others call it, by what to ask for here. */
const namesElsewhere: Readonly<Record<string, EngineName>> = { cpu: 'onednn', mkldnn: 'onednn', mkl: 'onednn', dnnl: 'onednn' };
const graphicsElsewhere = ['gpu', 'cuda', 'rocm', 'hip', 'mps', 'metal', 'vulkan', 'opencl', 'directml', 'dml', 'xpu', 'tpu'];

/** @throws ConfigurationError for a name that is no engine's */
export function requireEngineChoice(name: string): EngineChoice {
  const choice = engineChoices.find((each) => each === name);
  if (choice !== undefined) return choice;
  const plain = name.toLowerCase();
  const meant = Object.hasOwn(namesElsewhere, plain) ? namesElsewhere[plain] : undefined;
  const message = `engine (=${name}) must be one of ${engineChoices.join(', ')}`;
  if (meant !== undefined) throw new ConfigurationError(message, { fix: `it is called ${meant} here` });
  if (graphicsElsewhere.includes(plain.split(':')[0]!)) {
    throw new ConfigurationError(message, { fix: '--engine webgpu computes on a graphics card; docs/gpu.md says what it needs' });
  }
  throw new ConfigurationError(message + didYouMean(name, engineChoices));
}

export interface ChosenEngine {
  readonly name: EngineName;
  /** Why this one, for people: `oneDNN 2.6.3 (avx512_core_bf16)`. */
  readonly reason: string;
  /** Whether it is made for this machine, or only works. */
  readonly isFast: boolean;
  /** What would be faster, where this one only works. */
  readonly advice?: string;
}

/**
 * The engine that computes where nobody says which: the first that is fast here, else the first that works.
 *
 * @param probe what is known of an engine; asked only as long as none is fast
 * @throws ConfigurationError where there is none; it says what is missing
 */
export async function chooseEngine(probe: (name: EngineName) => Promise<EngineProbe> = probeEngine): Promise<ChosenEngine> {
  const found: (EngineProbe & { readonly name: EngineName })[] = [];
  for (const name of engineNames.filter((each) => engines[each].forAuto)) {
    const answer = { name, ...(await probe(name)) };
    if (answer.available && answer.fast) return { name, reason: answer.reason, isFast: true };
    found.push(answer);
  }
  const works = found.find(({ available }) => available);
  if (works !== undefined) {
    const fixes = found.flatMap(({ fix }) => fix ?? []);
    return { name: works.name, reason: works.reason, isFast: false, ...(fixes.length > 0 && { advice: fixes.join('; ') }) };
  }
  throw new ConfigurationError(`there is no engine to compute with: ${found.map(({ reason }) => reason).join('; ')}`, {
    fix: `${found.flatMap(({ fix }) => fix ?? []).join('; or ')}. --engine reference works everywhere, slowly`,
  });
}

/** The engine that a choice stands for on this machine; undefined where there is none, which what opens it tells. */
export async function engineNamed(choice: EngineChoice = 'auto'): Promise<EngineName | undefined> {
  if (choice !== 'auto') return choice;
  try {
    return (await chooseEngine()).name;
  } catch (error) {
    if (error instanceof ConfigurationError) return undefined;
    throw error;
  }
}

/** What is known of an engine on this machine. Never throws. */
export async function probeEngine(name: EngineName): Promise<EngineProbe> {
  return await engines[name].probe();
}

export interface OpenEngineOptions extends EngineOptions {
  /** Default `auto`. */
  readonly engine?: EngineChoice | undefined;
  /** Is told which engine `auto` has chosen. */
  readonly onChoice?: ((chosen: ChosenEngine) => void) | undefined;
}

/**
 * Opens an engine by its name; by default the best that there is on this machine.
 *
 * @throws ConfigurationError for an unknown name, a wrong number of threads, or where there is no engine; AblateError where the one asked for
 *   cannot be used (with what is missing)
 */
export async function openEngine({ engine = 'auto', threads, onChoice }: OpenEngineOptions = {}): Promise<Engine> {
  const choice = requireEngineChoice(engine);
  if (choice !== 'auto') return await engines[choice].open({ threads });
  const chosen = await chooseEngine();
  onChoice?.(chosen);
  return await engines[chosen.name].open({ threads });
}
