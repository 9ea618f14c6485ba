"""Results as `tween ablate` writes them, made up for the tests of what reads them."""

import zlib

import numpy as np

SETTING = {"minutes": 2.0, "steps": None, "batch_size": 32, "lr": None, "warmup": 0.05, "crop": 256, "synthetic": 0.33,
           "precision": "bf16", "ema": 0.0, "compiled": False}  # fmt: skip


def made(row, seed, *, gain=0.0, own=None, scenes=12):
    """A result of `row` and `seed`: scenes from 20 to 32 dB, plus `gain`, plus noise of the row's `own` name."""
    noise = np.random.default_rng([zlib.crc32((own or row).encode()), seed]).normal(0, 0.05, scenes)
    psnr = {f"scene{i}": 20.0 + i + gain + float(noise[i]) for i in range(scenes)}
    return {
        "row": row, "about": f"what {row} changes", "seed": seed, "setting": SETTING, "protocol": "paper",
        "facts": {"data": "made"}, "group": "0123456789ab", "steps": 1000 + seed, "seconds": 121.0,
        "samples_per_s": 300.0, "parameters": 1_256_064, "psnr": float(np.mean(list(psnr.values()))), "ssim": 0.8,
        "scenes": {name: {"psnr": p, "ssim": 0.8, "ie": 10.0} for name, p in psnr.items()},
        "device": "a GPU", "torch": "2.13.0", "python": "3.11", "commit": "0123456789" * 4, "date": "2026-11-21",
    }  # fmt: skip
