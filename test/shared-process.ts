import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A command line, where it runs, and the files to which its output is added. */
export interface Order {
  readonly args: readonly string[];
  readonly cwd: string;
  /** All of it, not only what differs. */
  readonly environment: NodeJS.ProcessEnv;
  readonly stdout: string;
  readonly stderr: string;
}

/** Commands that one process takes before the next one starts: what a command leaves in memory adds up. */
const commandsPerProcess = 25;

/** A process for many commands, one after the other: the time of starting is paid once. It is started anew after one that ended it. */
export class SharedProcess {
  #child: ChildProcess | undefined;
  #taken = 0;
  readonly #program: string;

  /** @param program the module whose `run` takes the command lines, in JavaScript */
  constructor(program: string) {
    this.#program = program;
  }

  /** The process that takes the next command. */
  async start(): Promise<ChildProcess> {
    if (this.#taken >= commandsPerProcess) this.dispose();
    if (this.#child === undefined) {
      const module = fileURLToPath(new URL('./shared-process.mjs', import.meta.url));
      const child = fork(module, [this.#program], { execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
      this.#child = child;
      this.#taken = 0;
      await new Promise((resolve, reject) => {
        child.once('message', resolve).once('error', reject);
        child.once('exit', () => reject(new Error('the process for the commands did not start')));
      });
    }
    return this.#child;
  }

  /** Runs a command to its end: its exit code, or the signal that ended the process. */
  async run(order: Order): Promise<number | NodeJS.Signals | null> {
    const child = await this.start();
    this.#taken++;
    return await new Promise((resolve) => {
      const finish = (how: number | NodeJS.Signals | null) => {
        child.off('message', onMessage).off('exit', onExit);
        resolve(how);
      };
      const onMessage = (message: unknown) => finish(message as number);
      const onExit = (exit: number | null, signal: NodeJS.Signals | null) => {
        if (this.#child === child) this.#child = undefined;
        finish(signal ?? exit);
      };
      child.once('message', onMessage).once('exit', onExit);
      child.send(order);
    });
  }

  dispose(): void {
    this.#child?.disconnect();
    this.#child = undefined;
  }
}
