#!/bin/sh
# Runs what it is given: tween ..., torchrun ..., latent_mae.sh, drifting_latent.sh. Says first what it runs on.
set -eu
if [ "${QUIET:-0}" = 0 ]; then
    tween --version
    command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=index,name,memory.total --format=csv,noheader || echo "no GPU"
fi
exec "$@"
