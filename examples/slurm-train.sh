#!/bin/bash
# One training on several machines, as a Slurm job:   sbatch examples/slurm-train.sh
# It is queued again when a machine fails or its time is up, and continues from its last checkpoint.
#SBATCH --job-name=ablate
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=02:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=ablate-%j.log
# Two minutes before the time is up all processes save and stop in order, and the job is queued again.
#SBATCH --signal=B:TERM@120

set -euo pipefail

# On a file system that the first machine sees whichever it is.
runs=$PWD/runs-$SLURM_JOB_ID
run=$runs/nin2/1

arguments=(nin2 --steps 20000 --batch-size 1024 --set learningRateScaling=linear --runs-dir "$runs" --threads "$SLURM_CPUS_PER_TASK")
if [[ -f $run/config.json ]]; then
  # This job is the only one that trains the run: a lock left by the machine that failed is in the way of nobody else.
  rm -f "$run"/lock-*
  arguments=(--resume "$run" --threads "$SLURM_CPUS_PER_TASK")
fi

# srun starts the processes where Slurm was built with PMIx (srun --mpi=list), and ends all of them when one fails. Where it was not, use
# mpirun, which finds out the job's machines by itself:
#   mpirun --map-by "ppr:1:node:PE=$SLURM_CPUS_PER_TASK" npx ablate train "${arguments[@]}" &
srun --mpi=pmix --kill-on-bad-exit=1 npx ablate train "${arguments[@]}" &
trap 'kill -TERM %1' TERM
code=0
wait %1 || code=$?
# The signal ends the waiting, not yet the training.
while kill -0 %1 2> /dev/null; do
  code=0
  wait %1 || code=$?
done
# 130: stopped in order, because the time was up.
if ((code == 130)); then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
