"""Gaussians as a `.ply` file in the layout of 3D Gaussian Splatting (Kerbl et al. 2023), which common viewers open:
x y z, normals, f_dc_0..2, opacity as a logit, log scales, quaternion w first; binary, little endian."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tween.core import TweenError
from tween.ops.raster import Gaussians

SH = 0.28209479177387814  # of the constant spherical harmonic: colour = 1/2 + SH f_dc
FIELDS = (
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)


def write_ply(path: Path, cloud: Gaussians, *, least: float = 1 / 255) -> int:
    """Write the first cloud of a batch; its first three colours are RGB in [0, 1]. Returns how many Gaussians it has.

    Args:
        least: opacity below which a Gaussian is left out.
    """
    opacity = cloud.opacity[0].clamp(1e-6, 1 - 1e-6)
    columns = (
        cloud.means[0],
        torch.zeros_like(cloud.means[0]),
        (cloud.colour[0, :, :3] - 0.5) / SH,
        torch.logit(opacity)[:, None],
        cloud.scales[0].log(),
        cloud.quats[0],
    )
    table = torch.cat([c.float() for c in columns], 1)[opacity >= least].cpu().numpy().astype("<f4")
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}"]
    head += [f"property float {name}" for name in FIELDS] + ["end_header", ""]
    path.write_bytes("\n".join(head).encode() + np.ascontiguousarray(table).tobytes())
    return len(table)


def read_ply(path: Path) -> Gaussians:
    """What `write_ply`, or 3DGS without view-dependent colour, wrote: one cloud.

    Raises:
        TweenError: if the file is of another layout.
    """
    data = path.read_bytes()
    head, end, body = data.partition(b"end_header\n")
    lines = head.decode("ascii", "replace").split("\n")
    names = [line.split()[-1] for line in lines if line.startswith("property float ")]
    count = next((int(line.split()[-1]) for line in lines if line.startswith("element vertex ")), -1)
    others = [
        line for line in lines if line.startswith("property ") and not line.startswith("property float ")
    ]
    fits = (
        "format binary_little_endian 1.0" in lines
        and not others
        and set(FIELDS) - {"nx", "ny", "nz"} <= set(names)
    )
    if not end or not fits or len(body) < 4 * count * len(names):
        raise TweenError(
            f"{path} should be a binary .ply of Gaussians as 3D Gaussian Splatting writes it, but is not"
        )
    table = np.frombuffer(body, "<f4", count * len(names)).reshape(count, len(names))

    def of(*wanted: str) -> torch.Tensor:
        return torch.from_numpy(table[:, [names.index(name) for name in wanted]].copy())[None]

    return Gaussians(
        means=of("x", "y", "z"),
        quats=of("rot_0", "rot_1", "rot_2", "rot_3"),
        scales=of("scale_0", "scale_1", "scale_2").exp(),
        opacity=torch.sigmoid(of("opacity"))[..., 0],
        colour=of("f_dc_0", "f_dc_1", "f_dc_2") * SH + 0.5,
    )
