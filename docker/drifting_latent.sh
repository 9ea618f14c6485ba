#!/bin/sh
# A refiner of latents that drifts in the features of latent_mae.sh's encoder, 4096 samples a step over 8 GPUs.
# DATA, VAE, RUNS: as there. Further flags are passed on.
set -eu
exec torchrun --standalone --nproc_per_node="${GPUS:-8}" -m tween train impute \
    --dataset folder --data-path "${DATA:?}" --image-size 256 --input-space latent --vae "${VAE:?}" \
    --feature-space latent_mae --encoder "${ENCODER:-${RUNS:-runs}/latent-mae/last.safetensors}" \
    --n-classes-step 8 --n-gen-per-class 64 --n-pos-per-class 64 --drift-n-unc 32 --queue-pos 128 \
    --effective-batch 4096 --width 768 --layers 12 --patch-size 2 --optimizer muon --steps 30000 --lr 4e-4 \
    --vanilla-loss-weight 1 --name drifting-latent --runs "${RUNS:-runs}" "$@"
