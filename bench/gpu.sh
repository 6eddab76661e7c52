#!/usr/bin/env bash
# What is to be tried where there is a graphics card: the tests of the WebGPU engine on it, the times of training steps, kernel by kernel, beside what the card
# reaches (gpu-<model>.json in $OUT, by default docs/results), and a hundred devices opened and closed. Wants Node 20, `npm ci` and `npm run setup -- --gpu` done, and on Linux libvulkan1 and
# the card's driver. About ten minutes at most.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${OUT:-docs/results}
failed=0
for each in ${GPU_MODELS:-tuto:128:2017 nin2:128:2017 resnet20:128:modern air94:1000:airbench}; do
  IFS=: read -r model batch recipe <<< "$each"
  timeout 120 node --import tsx src/cli/main.ts bench train "$model" --engine webgpu --batch-size "$batch" --recipe "$recipe" \
    --steps "${GPU_STEPS:-100}" --json > "$out/gpu-$model.json" || failed=1
done
ABLATE_TEST_GPU=1 timeout 300 npx vitest run test/webgpu.test.ts test/webgpu-training.test.ts --reporter=dot || failed=1
timeout 120 node scripts/webgpu-lifetimes.mjs 100 || failed=1
exit $failed
