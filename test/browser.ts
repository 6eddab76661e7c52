import { existsSync } from 'node:fs';

/** A Chromium of the system; undefined if there is none. */
export const browserPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);

/** Why tests of pages are skipped where there is none. */
export const whyNoBrowser = browserPath === undefined ? 'there is no Chromium (Debian: apt-get install chromium)' : undefined;

/** Chromium's own services would look for the network; the pages need none. */
export const browserFlags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** With WebGPU on Chromium's software adapter: slow, and the same on every machine. */
export const webgpuFlags = [
  ...browserFlags.filter((flag) => flag !== '--disable-gpu'),
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
];
