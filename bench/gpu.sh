#!/usr/bin/env bash
# What is to be tried where there is a graphics card: the tests of the WebGPU engine on it, a hundred devices opened and closed, and the times of training steps,
# which go to docs/results/webgpu-steps.json. Wants Node 20, `npm run setup -- --gpu` done, and on Linux libvulkan1 and the card's driver. About five minutes.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=0
ABLATE_TEST_GPU=1 timeout 300 npx vitest run test/webgpu.test.ts test/webgpu-training.test.ts --reporter=dot || failed=1
timeout 120 node scripts/webgpu-lifetimes.mjs 100 || failed=1
timeout 180 node --import tsx bench/webgpu-steps.ts --out "${OUT:-docs/results}/webgpu-steps.json" || failed=1
exit $failed
