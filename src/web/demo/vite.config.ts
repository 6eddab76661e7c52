import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** Builds the page into dist/client/demo. */
export default defineConfig({
  root: fileURLToPath(new URL('./client', import.meta.url)),
  base: './',
  build: {
    outDir: fileURLToPath(new URL('../../../dist/client/demo', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    rollupOptions: {
      // ONNX Runtime loads its WebAssembly and its threads from beside itself: the server serves it from the installed package.
      external: ['onnxruntime-web/wasm'],
      output: { paths: { 'onnxruntime-web/wasm': '/runtime/ort.wasm.min.mjs' } },
    },
  },
});
