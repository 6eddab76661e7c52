/** Numbers of axes, tables and readings. */
import { formatDuration } from '../../../../util/format.ts';
import type { XAxis } from './lines.ts';

/** `12.5k`, `3.4M`, `0.0012`: three or four digits, however large. */
export function compact(value: number): string {
  const size = Math.abs(value);
  if (value === 0) return '0';
  if (!Number.isFinite(value)) return String(value);
  if (size >= 1e15 || size < 1e-4) return value.toExponential(1).replace('e+', 'e');
  const units = ['', 'k', 'M', 'G', 'T'];
  const power = size < 10_000 ? 0 : Math.min(Math.floor(Math.log10(size) / 3), units.length - 1);
  const scaled = value / 1000 ** power;
  const digits = Math.abs(scaled) >= 1000 ? 0 : Math.max(0, 3 - Math.floor(Math.log10(Math.abs(scaled))) - 1);
  return `${Number(scaled.toFixed(Math.min(digits, 6)))}${units[power]!}`;
}

/** `1 run`, `12 runs` */
export function countOfRuns(count: number): string {
  return `${count} ${count === 1 ? 'run' : 'runs'}`;
}

/** `0:42`, `1:02:03`; of more than a day `2 d 3 h`. */
export function duration(seconds: number): string {
  if (seconds < 86_400) return formatDuration(seconds);
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** `now`, `5 min ago`, `3 h ago`, `2 d ago`; the date for what is older than a month. */
export function ago(ms: number, now: number): string {
  const seconds = Math.max(0, (now - ms) / 1000);
  if (ms === 0) return '';
  if (seconds < 10) return 'now';
  if (seconds < 60) return `${Math.round(seconds)} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  if (seconds < 31 * 86_400) return `${Math.round(seconds / 86_400)} d ago`;
  return new Date(ms).toISOString().slice(0, 10);
}

export const axisTitles: Readonly<Record<XAxis, string>> = {
  step: 'steps',
  epoch: 'epochs',
  images: 'images seen',
  operations: 'operations of training',
  time: 'time of training',
};

export function formatPlace(axis: XAxis, value: number): string {
  return axis === 'time' ? duration(value) : compact(value);
}

/** Whether a metric is a fraction that is shown in percent. */
export function isFraction(key: string): boolean {
  return /accuracy$/i.test(key);
}

export function formatValue(key: string, value: number): string {
  if (Number.isNaN(value)) return '–';
  return isFraction(key) ? `${(100 * value).toFixed(2)}%` : compact(value);
}

const metricWords: Readonly<Record<string, string>> = {
  'train/loss': 'training loss',
  'train/weightDecayLoss': 'weight decay loss',
  'train/learningRate': 'learning rate',
  'train/imagesPerSecond': 'images a second',
  'train/lossScale': 'scale of the loss',
  'train/skippedSteps': 'steps left out',
  'test/accuracy': 'test accuracy',
  'test/loss': 'test loss',
  'test/rawAccuracy': 'test accuracy, raw weights',
  'test/rawLoss': 'test loss, raw weights',
  'val/accuracy': 'validation accuracy',
  'val/loss': 'validation loss',
  'val/rawAccuracy': 'validation accuracy, raw weights',
  'val/rawLoss': 'validation loss, raw weights',
};

const layerWords: Readonly<Record<string, string>> = { weightNorm: 'weight norm', gradientNorm: 'gradient norm' };

/** A metric in words; one that is not known here by its key. */
export function metricTitle(key: string): string {
  const [, kind = '', layer = ''] = /^(\w+Norm)\/(.+)$/.exec(key) ?? [];
  const words = Object.hasOwn(layerWords, kind) ? layerWords[kind] : undefined;
  if (words !== undefined) return `${words} of ${layer}`;
  return Object.hasOwn(metricWords, key) ? metricWords[key]! : key;
}
