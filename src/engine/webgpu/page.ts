/** The engine in a web page, on the browser's own WebGPU: no package, nothing of Node. */
import { AblateError } from '../../util/errors.ts';
import type { Engine } from '../engine.ts';
import { openDevice } from './device.ts';
import { createWebgpuEngine } from './engine.ts';

/** What a page's `navigator` has of WebGPU; the browser that has none lacks it. */
interface PageNavigator {
  readonly gpu?: { requestAdapter(options?: GPURequestAdapterOptions): Promise<GPUAdapter | null> };
}

/** @throws AblateError where the browser has no WebGPU, or none for this page, with what to do */
export async function openPageEngine(): Promise<Engine> {
  const { gpu } = (globalThis as unknown as { readonly navigator: PageNavigator }).navigator;
  if (gpu === undefined) {
    throw new AblateError('this browser has no WebGPU, or not for this page', {
      fix: 'Use a browser that has it (Chrome or Edge 113, Safari 26, Firefox 141 or later), and serve the page over https or from localhost',
    });
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    throw new AblateError('the browser has no adapter for WebGPU: it does not trust the graphics card or its driver', {
      fix: 'Update the driver; chrome://gpu (about:support in Firefox) says why',
    });
  }
  return createWebgpuEngine(await openDevice(gpu, adapter));
}
