import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Processors' worth of time that the control groups (containers, services) of this process allow: 1.5 for a quota of 150 ms in every
 * 100 ms. Undefined without a limit, and outside Linux.
 *
 * @param root Where files are read from: `/`, or a folder in tests.
 */
export function cpuLimit(root = '/'): number | undefined {
  const groups = read(join(root, 'proc/self/cgroup'))?.split('\n') ?? [];
  const limits = groups.flatMap((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === '') return limitsUpwards(path, (group) => quotaVersion2(join(root, 'sys/fs/cgroup', group)));
    return controllers.split(',').includes('cpu')
      ? limitsUpwards(path, (group) => quotaVersion1(join(root, 'sys/fs/cgroup/cpu', group)))
      : [];
  });
  return limits.length === 0 ? undefined : Math.min(...limits);
}

/** The limits of a group and all above it, each of which holds. */
function limitsUpwards(path: string, limitOf: (group: string) => number | undefined): number[] {
  const limits: number[] = [];
  for (let group = path; group.startsWith('/'); group = dirname(group)) {
    const limit = limitOf(group);
    if (limit !== undefined) limits.push(limit);
    if (group === '/') break;
  }
  return limits;
}

/** cpu.max holds quota and period in microseconds, or `max` and a period. */
function quotaVersion2(folder: string): number | undefined {
  const [quota, period] = read(join(folder, 'cpu.max'))?.trim().split(' ') ?? [];
  return ratio(Number(quota), Number(period));
}

/** In version 1 a quota of -1 is none. */
function quotaVersion1(folder: string): number | undefined {
  return ratio(Number(read(join(folder, 'cpu.cfs_quota_us'))), Number(read(join(folder, 'cpu.cfs_period_us'))));
}

function ratio(quota: number, period: number): number | undefined {
  return quota > 0 && period > 0 ? quota / period : undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // No such group, or no control groups at all.
  }
}
