/** What variants take on a microcontroller, as 8-bit integers: computed from their networks, with times predicted. */
import type { Device } from '../deploy/mcu/cores.ts';
import { networkFigures } from '../deploy/mcu/figures.ts';
import { AblateError } from '../util/errors.ts';
import { classifierOf } from './latency.ts';
import type { DeviceCost, ReportData, ReportVariant } from './report-data.ts';

/** The report with the costs of its variants on microcontrollers; which have none, and why, is told in it. */
export function withDeviceCosts(data: ReportData, devices: readonly Device[]): ReportData {
  const refused = new Map<string, string[]>();
  const costOf = (variant: ReportVariant): DeviceCost | undefined => {
    const classifier = classifierOf(variant, data);
    try {
      const { flashBytes, ramBytes, cores } = networkFigures(classifier, devices);
      return { flashBytes: flashBytes.weights + flashBytes.code, ramBytes: ramBytes.activations, ms: cores.map(({ ms }) => ms) };
    } catch (error) {
      if (!(error instanceof AblateError)) throw error;
      refused.set(error.message, [...(refused.get(error.message) ?? []), variant.name]);
      return undefined;
    }
  };
  const variants = data.variants.map((variant) => ({ ...variant, cost: { ...variant.cost, device: costOf(variant) } }));
  const cores = devices.map(({ core, clockMHz }) => `${core.name}@${clockMHz}`);
  const missing = [...refused].map(([reason, names]) => `Not for a microcontroller: ${names.join(', ')} (${reason}).`);
  const known = variants.some(({ cost }) => cost.device !== undefined);
  return { ...data, variants, cores, costNotes: [...data.costNotes, ...(known ? [deviceNote] : []), ...missing] };
}

const deviceNote =
  'Flash, RAM and time on a microcontroller are those of 8-bit integers (ablate export): flash with an estimate of the code, RAM without image and stack, time predicted (docs/microcontrollers.md).';
