/*
 * Which folder may import which: one way only, without cycles (docs/architecture.md has the picture). And one file or folder
 * owns each foreign library.
 */

/** Every folder of src/ and the folders it may import besides itself. A folder not named here may not exist. */
const mayImport = {
  util: [],
  nn: ['util'],
  models: ['util', 'nn'],
  user: ['util', 'nn', 'models', 'data'],
  engine: ['util', 'nn'],
  data: ['util'],
  cluster: ['util'],
  runs: ['util'],
  setup: ['util', 'engine'],
  train: ['util', 'nn', 'models', 'user', 'engine', 'data', 'cluster', 'runs'],
};
const base = [...mayImport.train, 'train'];
mayImport.deploy = base;
mayImport.study = [...base, 'deploy'];
mayImport.compress = [...base, 'deploy', 'study'];
mayImport.report = [...mayImport.compress, 'compress'];
mayImport.web = [...mayImport.report, 'report'];
mayImport.cli = [...mayImport.web, 'web', 'setup'];

const tests = '\\.test\\.ts$';

/** What only Node has, by any of its names. */
const nodeModules = `^(node:)?(${require('node:module').builtinModules.join('|')})$`;

/** Unit tests may build their cases from any folder; the program itself may not. */
const folders = Object.entries(mayImport).map(([folder, allowed]) => ({
  name: `${folder}-imports`,
  comment: `src/${folder} may import ${allowed.length > 0 ? allowed.join(', ') : 'nothing of ours'}`,
  severity: 'error',
  from: { path: `^src/${folder}/`, pathNot: tests },
  to: { path: '^(src|test|bench)/', pathNot: `^src/(${[folder, ...allowed].join('|')})/` },
}));

/** Only `owner` imports `library`. */
function owned(library, owner, users = '^(src|bench)/') {
  return {
    name: `${library}-owner`,
    comment: `only ${owner} may import ${library}`,
    severity: 'error',
    from: { path: users, pathNot: owner },
    to: { path: `node_modules/${library}(/|$)` },
  };
}

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'known-folders',
      comment: 'a new folder of src/ needs its line in mayImport',
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: `^src/(${Object.keys(mayImport).join('|')})/` },
      to: {},
    },
    ...folders,
    {
      name: 'networks-are-pure',
      comment: 'layers, networks and models are data: no Node API, no package',
      severity: 'error',
      from: { path: '^src/(nn|models)/', pathNot: tests },
      to: { dependencyTypesNot: ['local', 'type-only', 'type-import'], pathNot: '^(src/|node_modules/zod/)' },
    },
    {
      name: 'engines-apart',
      comment: 'the oracle and the other engines share the interface, nothing else',
      severity: 'error',
      from: { path: '^src/engine/(onednn|reference|webgpu)/', pathNot: tests },
      to: { path: '^src/engine/(onednn|reference|webgpu)/', pathNot: '^src/engine/$1/' },
    },
    {
      name: 'engine-interface-first',
      comment: 'the interface knows no engine; the registry alone does',
      severity: 'error',
      from: { path: '^src/engine/[^/]+$', pathNot: [tests, '^src/engine/registry\\.ts$'] },
      to: { path: '^src/engine/(onednn|reference|webgpu)/' },
    },
    {
      name: 'host-arrays-within-engines',
      comment: 'the elements of an array are for the engines that keep them on the host; all others read and write',
      severity: 'error',
      from: { path: '^(src|bench)/', pathNot: [tests, '^src/engine/(onednn|reference)/'] },
      to: { path: '^src/engine/(host-array|onednn/array|reference/array)\\.ts$' },
    },
    {
      name: 'engines-run-in-pages',
      comment:
        'networks, the interface, the reference engine and that on WebGPU need nothing of Node, directly or through others: a page can train',
      severity: 'error',
      from: {
        path: '^src/(nn/|engine/(reference/|webgpu/|[^/]+$))',
        pathNot: [tests, '^src/engine/(registry|webgpu/(adapter|probe|probe-process|tuning-cache))\\.ts$'],
      },
      to: { path: nodeModules, reachable: true },
    },
    owned('webgpu', '^src/engine/webgpu/'),
    owned('koffi', '^src/(engine/onednn|cluster/mpi)/'),
    // Loaded in any other way, it sends telemetry: from tests too.
    owned('onnxruntime-(node|web)', '^src/(deploy/onnx-runtime|web/demo/client/runtime)\\.ts$', '^(src|bench|test|scripts)/'),
    owned('protobufjs', '^src/deploy/onnx/schema\\.ts$'),
    owned('flatbuffers', '^src/deploy/mcu/tflite/schema\\.ts$'),
    owned('commander', '^src/cli/'),
    owned('esbuild', '^src/(user/load-file\\.ts|util/source-worker\\.mjs)$'),
    {
      name: 'tests-are-leaves',
      comment: 'nothing imports a test',
      severity: 'error',
      from: {},
      to: { path: tests },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'declared-packages',
      comment: 'what the program imports is a dependency of package.json, not a development one',
      severity: 'error',
      // What is used only where the sources are: starting workers from source, building the pages, and what the build puts into them.
      from: { path: '^src/', pathNot: [tests, '^src/util/source-worker\\.mjs$', '/vite\\.config\\.ts$', '^src/web/ui/client/'] },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], pathNot: 'node_modules/@types/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'types', 'default'] },
  },
};
