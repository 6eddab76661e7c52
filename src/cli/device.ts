/** Microcontrollers on the command line: the option that names cores, and lines that say what a network takes on them. */
import type { Device } from '../deploy/mcu/cores.ts';
import type { DeviceFigures } from '../deploy/mcu/figures.ts';
import { formatBytes, formatOperations, formatPredictedMs } from '../util/format.ts';

export const deviceOption = [
  '--device <core@MHz,...>',
  'microcontroller cores to predict the time for: m0+, m4, m33, m7, m85, each at a usual clock or at a given one (default: all)',
] as const;

/** @throws ConfigurationError for a core that is not known, and for a clock that there is not */
export async function devicesOf(given: string | undefined): Promise<readonly Device[]> {
  const { cores, parseDevice } = await import('../deploy/mcu/cores.ts');
  return (given ?? cores.map(({ name }) => name).join(',')).split(',').map(parseDevice);
}

export function deviceLines({ flashBytes, ramBytes, multiplyAdds, cores }: DeviceFigures): readonly string[] {
  const { weights, code, compiler } = flashBytes;
  const how = compiler === null ? 'estimated' : `${compiler} -O2 for a Cortex-M4`;
  const times = cores.map(({ core, clockMHz, ms }) => `${core} at ${clockMHz} MHz ${formatPredictedMs(ms)}`).join(', ');
  return [
    `flash: ${formatBytes(weights)} of weights and ${formatBytes(code)} of code (${how})`,
    `RAM: ${formatBytes(ramBytes.activations)}, most of it for ${ramBytes.peakLayer}; the image and the logits are the caller's`,
    `${formatOperations(multiplyAdds)} multiply-adds an image; predicted time: ${times}`,
  ];
}
