#!/usr/bin/env bash
# Packs what bench/gpu.sh needs where there is a graphics card and no Node.js, no packages and no network: this machine's node, the compiled program, the packages that
# it loads and Debian's Vulkan loader, for the same processor and a C library as new as here. About 40 MB, which gpu.sh unpacks.
#
#     bench/gpu-pack.sh [folder, by default .gpu in the project]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
to=${1:-.gpu}
mkdir -p "$to"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cp "$(readlink -f "$(command -v node)")" "$stage/node"
node --import tsx -e "import('./test/compile-sources.ts').then((m) => m.default())"
cp -r dist-for-tests package.json "$stage/"
npx esbuild test/webgpu-agreement.ts --bundle --platform=node --format=esm --outfile="$stage/agreement.mjs" --log-level=warning
# All packages but the development's and the large ones that neither training nor timing loads; of esbuild, which is imported and asked for nothing, no program.
npm ls --omit=dev --all --parseable 2> /dev/null | sed -n "s#^$PWD/##p" | sort -u \
  | grep -vE '^node_modules/(onnxruntime|vega|d3-|topojson|@esbuild/|@stryker)' | while read -r package; do
    mkdir -p "$stage/$package"
    cp -r "$package/." "$stage/$package/"
  done
rm -rf "$stage/node_modules/esbuild/bin"
# Of the binaries, those of this platform.
platform=$(node -p 'process.platform + "-" + process.arch')
find "$stage/node_modules/webgpu/dist" -mindepth 1 -maxdepth 1 -type d ! -name "$platform" -exec rm -r {} +
find "$stage/node_modules" \( -name '*.ts' -o -name '*.map' -o -name '*.cts' \) -delete
# Debian's loader, which the driver of a bare machine may lack.
(cd "$stage" && apt-get download -qq libvulkan1 2> /dev/null) || echo 'without the package libvulkan1: apt-get cannot fetch it' >&2
tar -C "$stage" -c . | xz -1 -T0 > "$to/gpu.tar.xz"
ls -l "$to/gpu.tar.xz"
