/** Two hosts on this machine: network namespaces with an address each, joined by a virtual cable that can be cut. Needs root. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Hosts {
  /** What Open MPI is to be told: who the hosts are, how to reach them, and to use their cable only. */
  readonly mpirun: readonly string[];
  /** Before a command: runs it on the first host. */
  readonly onFirst: readonly string[];
  cut(): void;
  mend(): void;
  remove(): void;
}

const names = [`ablate-a-${process.pid}`, `ablate-b-${process.pid}`] as const;
const addresses = ['10.98.76.1', '10.98.76.2'] as const;

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Undefined where hosts can be made, else what forbids it. */
export function whyNoHosts(): string | undefined {
  const name = `ablate-try-${process.pid}`;
  const made = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (made.error !== undefined) return 'ip (iproute2) is not installed';
  if (made.status !== 0) return `network namespaces are not permitted: ${made.stderr.trim()}`;
  ip('netns', 'delete', name);
  return undefined;
}

export function makeHosts(folder: string): Hosts {
  const [first, second] = names;
  for (const name of names) ip('netns', 'add', name);
  ip('link', 'add', 'veth0', 'netns', first, 'type', 'veth', 'peer', 'name', 'veth0', 'netns', second);
  names.forEach((name, i) => {
    ip('-n', name, 'address', 'add', `${addresses[i]!}/24`, 'dev', 'veth0');
    for (const device of ['lo', 'veth0']) ip('-n', name, 'link', 'set', device, 'up');
  });
  // In place of ssh: enters the namespace of the address. Each host has a name of its own, or Open MPI would take them for one.
  const agent = join(folder, 'rsh-agent.sh');
  const cases = names.map((name, i) => `${addresses[i]!}) name=${name} ;;`).join(' ');
  writeFileSync(
    agent,
    `#!/bin/bash\ncase $1 in ${cases} *) exit 255 ;; esac\nshift\nexec ip netns exec "$name" unshare --uts bash -c "hostname $name; $*"\n`,
  );
  chmodSync(agent, 0o755);
  const link = (state: 'up' | 'down') => ip('-n', second, 'link', 'set', 'veth0', state);
  return {
    mpirun: [
      ...['--host', addresses.map((address) => `${address}:1`).join(',')],
      ...['--mca', 'plm_rsh_agent', agent, '--mca', 'btl', 'self,tcp', '--mca', 'btl_tcp_if_include', 'veth0'],
      ...['--mca', 'oob_tcp_if_include', 'veth0'],
      // mpirun notices by itself that a host is gone, in seconds rather than minutes (docs/cluster.md).
      ...[
        '--mca',
        'oob_tcp_keepalive_time',
        '2',
        '--mca',
        'oob_tcp_keepalive_intvl',
        '1',
        '--mca',
        'oob_tcp_keepalive_probes',
        '2',
      ],
    ],
    onFirst: ['ip', 'netns', 'exec', first, 'unshare', '--uts', 'bash', '-c', `hostname ${first}; exec "$@"`, 'bash'],
    cut: () => link('down'),
    mend: () => link('up'),
    remove: () => {
      for (const name of names) ip('netns', 'delete', name);
    },
  };
}
