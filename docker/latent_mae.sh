#!/bin/sh
# The encoder without classes on latents of pictures, 4096 samples a step over 8 GPUs.
# DATA: a folder of pictures for every class. VAE: a folder with diffusers' AutoencoderKL. Further flags are passed on.
set -eu
exec torchrun --standalone --nproc_per_node="${GPUS:-8}" -m tween train latent-mae \
    --dataset folder --data-path "${DATA:?}" --image-size 256 --input-space latent --vae "${VAE:?}" \
    --encoder-width 256 --batch-size 512 --effective-batch 4096 --steps 60000 --lr 4e-3 \
    --name latent-mae --runs "${RUNS:-runs}" "$@"
