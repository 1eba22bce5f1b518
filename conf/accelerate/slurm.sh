#!/usr/bin/env bash
# Two nodes with four GPUs each, under Slurm, from the repository root (runs/ on a file system that both nodes see):
#   sbatch conf/accelerate/slurm.sh --method skd-map --seed 1
#SBATCH --job-name=xqa-student
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
# Five minutes before the time is up every process gets SIGTERM: the training writes a checkpoint and ends.
#SBATCH --signal=TERM@300
#SBATCH --requeue
set -euo pipefail
export MAIN_ADDRESS
MAIN_ADDRESS=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# The arguments of this script go on to `xqa_lib train`. $SLURM_NODEID is known on each node only.
srun bash -c '.venv/bin/accelerate launch --config_file conf/accelerate/several-nodes.yaml \
    --machine_rank "$SLURM_NODEID" --main_process_ip "$MAIN_ADDRESS" -m xqa_lib train "$@"' train "$@"
