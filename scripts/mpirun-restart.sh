#!/usr/bin/env bash
# Runs a training under mpirun and starts it again from its last checkpoint when it fails: a machine died, the network broke.
#
#   scripts/mpirun-restart.sh <restarts> <run> -- mpirun <options> ablate train <model> <options>
#
# <run> is where the run will be, such as runs/tuto/7: its number must be free, or the run is continued from the start. The command must
# end with what follows `ablate train`: restarts put `--resume <run>` in its place, and keep --data-dir, --data-url and --threads. Wrong
# usage (exit code 2), an interruption (130) and a loss that diverges are not tried again. RESTART_DELAY (seconds, default 10) is waited
# between attempts.
set -uo pipefail

usage() {
  echo 'usage: scripts/mpirun-restart.sh <restarts> <run folder> -- mpirun ... ablate train ...' >&2
  exit 2
}

# Open MPI notices after 20 s, not 10 minutes, that a machine or the network is gone; what is set already stays.
export OMPI_MCA_oob_tcp_keepalive_time=${OMPI_MCA_oob_tcp_keepalive_time:-10}
export OMPI_MCA_oob_tcp_keepalive_intvl=${OMPI_MCA_oob_tcp_keepalive_intvl:-3}
export OMPI_MCA_oob_tcp_keepalive_probes=${OMPI_MCA_oob_tcp_keepalive_probes:-3}

[[ $# -ge 5 && $1 =~ ^[0-9]+$ && $3 == -- ]] || usage
restarts=$1
run=$2
shift 3
command=("$@")

# The part of the command up to and including the word `train`.
before=()
for word in "${command[@]}"; do
  before+=("$word")
  [[ $word == train ]] && break
done
[[ ${before[-1]} == train ]] || usage

# Options that say where the images are, what computes and how many threads to use: a restart needs them too.
kept=()
rest=("${command[@]:${#before[@]}}")
for ((i = 0; i < ${#rest[@]}; i++)); do
  case ${rest[i]} in
    --data-dir | --data-url | --engine | --threads)
      kept+=("${rest[i]}" "${rest[i + 1]:-}")
      ((++i))
      ;;
    --data-dir=* | --data-url=* | --engine=* | --threads=*) kept+=("${rest[i]}") ;;
  esac
done

# How the run's status.json says it is: running, finished, failed or interrupted; empty if there is no run.
status() {
  sed -n 's/.*"status": "\([a-z]*\)".*/\1/p' "$run/status.json" 2> /dev/null
}

for ((attempt = 0; ; attempt++)); do
  if [[ -f $run/config.json ]]; then
    "${before[@]}" --resume "$run" ${kept[@]+"${kept[@]}"}
  else
    "${command[@]}"
  fi
  code=$?
  case $code in
    0 | 2 | 130) exit "$code" ;;
  esac
  if [[ $(status) == failed ]]; then
    echo "mpirun-restart: the training failed by itself (exit code $code): not tried again" >&2
    exit "$code"
  fi
  if ((attempt >= restarts)); then
    echo "mpirun-restart: failed $((attempt + 1)) times (exit code $code): given up; continue with --resume $run" >&2
    exit "$code"
  fi
  echo "mpirun-restart: exit code $code; attempt $((attempt + 2)) of $((restarts + 1)) in ${RESTART_DELAY:-10} s" >&2
  sleep "${RESTART_DELAY:-10}"
done
