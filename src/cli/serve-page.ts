/** A command that serves a page: where it is, who can open it, and the wait until Ctrl-C. */
import { once } from 'node:events';
import type { PageServer } from '../web/page-server.ts';
import { interruptible } from './interrupt.ts';
import { note, print } from './output.ts';

interface ServedPage {
  /** The address that it listens on. */
  readonly host: string;
  /** Of the page that is opened first, behind the server's address. */
  readonly path: string;
  /** What whoever opens it can read: `these runs`. */
  readonly readable: string;
}

/** Serves until a signal ends it, then closes the server. */
export async function servePage(server: PageServer, { host, path, readable }: ServedPage): Promise<void> {
  try {
    const { addressesFromElsewhere } = await import('../web/page-server.ts');
    await interruptible('stopping', async (signal) => {
      // Said when a signal ends it in order.
      print(`${server.url}${path}`);
      note('Open the address in a browser. Ctrl-C ends.');
      const { port } = new URL(server.url);
      const tunnel = `ssh -L ${port}:localhost:${port} <this machine>`;
      const elsewhere = addressesFromElsewhere(server.url, host);
      if (elsewhere.length === 0) {
        note(`All users of this machine can read ${readable} there, and nobody else. From your own machine: ${tunnel}`);
      } else {
        note(`From other machines: ${elsewhere.map((url) => `${url}${path}`).join(' or ')}`);
        note(`Whoever reaches it over the network can read ${readable}: there is no password, and nothing is encrypted.`);
        note(`For yourself alone, leave --host out, and from your own machine: ${tunnel}`);
      }
      await once(signal, 'abort');
    });
  } finally {
    await server.close();
  }
}
