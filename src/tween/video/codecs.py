"""Which encoders this installation has."""

from __future__ import annotations

import av
from av.codec import Codec, codecs_available

WANTED = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "prores_ks", "ffv1", "h264_nvenc", "hevc_nvenc")


def encoders(names: tuple[str, ...] = WANTED) -> dict[str, bool]:
    """Name -> whether it can encode here. NVENC names say that it was built in, not that a GPU is present."""
    return {name: name in codecs_available and _encodes(name) for name in names}


def _encodes(name: str) -> bool:
    try:
        return Codec(name, "w").is_encoder
    except (ValueError, av.error.FFmpegError):
        return False


def version() -> str:
    """Of PyAV and of the FFmpeg libraries in it."""
    major = ".".join(str(part) for part in av.library_versions["libavcodec"])
    return f"PyAV {av.__version__}, libavcodec {major}"
