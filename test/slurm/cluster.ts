/**
 * A Slurm of one node on this machine: munge, controller and node daemon, with their files in one folder and on the loopback. Needs
 * Debian's slurm-wlm and munge, and root, as only root may start jobs.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { randomBytes } from 'node:crypto';

export interface SlurmCluster {
  /** For sbatch and the other commands. */
  readonly environment: Readonly<Record<string, string>>;
  /** The same, for commands that give up after a second where nobody answers. */
  readonly impatient: Readonly<Record<string, string>>;
  /** Ends the controller alone, as if its machine were down. */
  stopController(): Promise<void>;
  stop(): Promise<void>;
}

/** Undefined where a Slurm can be started, else what is missing. */
export function whyNoSlurm(): string | undefined {
  const missing = ['munged', 'slurmctld', 'slurmd', 'sbatch'].filter((name) => spawnSync('which', [name]).status !== 0);
  if (missing.length > 0) return `${missing.join(', ')} not found: sudo apt-get install -y slurm-wlm munge`;
  return process.getuid?.() === 0 ? undefined : 'only root may start the daemons';
}

/** Starts a cluster with `cpus` CPUs; jobs may run one on each. Throws if its node is not ready in time. */
export async function startSlurm(folder: string, cpus: number): Promise<SlurmCluster> {
  for (const name of ['state', 'spool']) mkdirSync(join(folder, name), { recursive: true });
  // munge wants its folders closed to others.
  mkdirSync(join(folder, 'munge'), { mode: 0o755 });
  const key = join(folder, 'munge', 'key');
  writeFileSync(key, randomBytes(1024), { mode: 0o600 });
  const socket = join(folder, 'munge', 'socket');
  const configuration = join(folder, 'slurm.conf');
  const port = 20_000 + (process.pid % 20_000);
  writeFileSync(configuration, slurmConf(folder, socket, port, cpus));
  chmodSync(configuration, 0o644);
  const environment = { SLURM_CONF: configuration };
  const impatient = { SLURM_CONF: join(folder, 'impatient.conf') };
  writeFileSync(impatient.SLURM_CONF, slurmConf(folder, socket, port, cpus).replace(/^MessageTimeout=.*$/m, 'MessageTimeout=1'));

  const running: ChildProcess[] = [];
  const start = (name: string, args: readonly string[]): ChildProcess => {
    const log = openSync(join(folder, `${name}.log`), 'a');
    const child = spawn(name, args, { env: { ...process.env, ...environment }, stdio: ['ignore', log, log] });
    closeSync(log);
    running.push(child);
    return child;
  };
  const files = ['pid', 'log', 'seed'].map((kind) => `--${kind}-file=${join(folder, 'munge', kind)}`);
  start('munged', ['--foreground', '--force', `--socket=${socket}`, `--key-file=${key}`, ...files]);
  const controller = start('slurmctld', ['-D', '-c', '-f', configuration]);
  start('slurmd', ['-D', '-c', '-N', 'node1', '-f', configuration]);

  const stop = async (): Promise<void> => {
    for (const child of running.toReversed()) await ended(child);
  };
  for (let attempt = 0; attempt < 600; attempt++) {
    await delay(100);
    const state = spawnSync('sinfo', ['-h', '-o', '%T'], { env: { ...process.env, ...environment }, encoding: 'utf8' });
    if (/^(idle|mixed|allocated)/.test(state.stdout))
      return { environment, impatient, stop, stopController: () => ended(controller) };
  }
  await stop();
  const logs = ['munged', 'slurmctld', 'slurmd'].map((name) => `${name}:\n${readFileSync(join(folder, `${name}.log`), 'utf8')}`);
  throw new Error(`Slurm's node did not become ready\n${logs.join('\n')}`);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
  await gone;
  clearTimeout(timer);
}

function slurmConf(folder: string, socket: string, port: number, cpus: number): string {
  const host = execFileSync('hostname', ['-s'], { encoding: 'utf8' }).trim() || hostname();
  return `ClusterName=test
SlurmctldHost=${host}(127.0.0.1)
SlurmctldPort=${port}
SlurmdPort=${port + 1}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=${socket}
CryptoType=crypto/munge
StateSaveLocation=${join(folder, 'state')}
SlurmdSpoolDir=${join(folder, 'spool')}
SlurmctldPidFile=${join(folder, 'slurmctld.pid')}
SlurmdPidFile=${join(folder, 'slurmd.pid')}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=1,sched_interval=1
ReturnToService=2
MessageTimeout=10
KillWait=5
NodeName=node1 NodeHostname=${host} NodeAddr=127.0.0.1 CPUs=${cpus} RealMemory=1000 State=UNKNOWN
PartitionName=test Nodes=node1 Default=YES MaxTime=INFINITE OverSubscribe=YES State=UP
`;
}
