/*
 * What a page may load: all that src/browser.ts imports, directly or through others, and that is left when types are gone. (The other rules count types
 * too.)
 */
const { options } = require('./.dependency-cruiser.cjs');
const { builtinModules } = require('node:module');

module.exports = {
  forbidden: [
    {
      name: 'page-without-node',
      comment: 'ablate/browser is loaded by pages, which have nothing of Node',
      severity: 'error',
      from: { path: '^src/browser\\.ts$' },
      to: { path: `^(node:)?(${builtinModules.join('|')})$`, reachable: true },
    },
    {
      name: 'page-with-few-packages',
      comment: 'what pages load of others is small',
      severity: 'error',
      from: { path: '^src/browser\\.ts$' },
      to: { path: 'node_modules/', pathNot: 'node_modules/zod/', reachable: true },
    },
  ],
  options: { ...options, tsPreCompilationDeps: false },
};
