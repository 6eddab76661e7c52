/** Quantities as people read them. JSON has the plain values instead. */

/** `1,068,298`: an integer with thousands separators, the same in every locale. */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US');
}

/** `1 run`, `2,000 runs` */
export function formatCounted(count: number, one: string): string {
  return `${formatCount(count)} ${one}${count === 1 ? '' : 's'}`;
}

/** `37.75M`, `1.20G` */
export function formatOperations(value: number): string {
  return value >= 1e9 ? `${(value / 1e9).toFixed(2)}G` : `${(value / 1e6).toFixed(2)}M`;
}

/** `4.3 MB`, in powers of 1000. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  return power === 0 ? `${bytes} B` : `${(bytes / 1000 ** power).toFixed(1)} ${units[power]!}`;
}

/** `81.42%` of a fraction; `-` where there is none. */
export function formatAccuracy(fraction: number | undefined): string {
  return fraction === undefined ? '-' : `${(100 * fraction).toFixed(2)}%`;
}

/** `1:02:03`, `4:05` */
export function formatDuration(seconds: number): string {
  const total = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const twoDigits = (value: number) => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${twoDigits(minutes)}:${twoDigits(rest)}` : `${minutes}:${twoDigits(rest)}`;
}

/** `0.412 ms`, `12.3 ms` */
export function formatMilliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(3) : ms.toFixed(1)} ms`;
}

/** What a model predicts, to two digits: `0.42`, `230`. */
export function formatPredicted(value: number): string {
  return String(Number(value.toPrecision(2)));
}

/** `0.42 ms`, `230 ms` */
export function formatPredictedMs(ms: number): string {
  return `${formatPredicted(ms)} ms`;
}
