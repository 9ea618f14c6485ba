"""Which encoder, pixel format and options an output gets where the user does not say."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av

from tween.core import TweenError
from tween.video.colour import FULL, LEFT, LIMITED, UNTAGGED, Colour
from tween.video.info import VideoInfo
from tween.video.planes import Layout

# container -> encoder for 8 bits, encoder for more
_ENCODERS = {
    ".webm": ("libvpx-vp9", "libsvtav1"),
    ".gif": ("gif", "gif"),
    ".apng": ("apng", "apng"),
    ".avi": ("libx264", "libx264"),
    ".mpg": ("mpeg2video", "mpeg2video"),
    ".mpeg": ("mpeg2video", "mpeg2video"),
}
_ANYWHERE = ("libx264", "libx265")
# Visually close to the source; the scales of the encoders differ.
_CRF = {"libx264": 18, "libx265": 18, "libvpx-vp9": 24, "libsvtav1": 24}
_PRESETS = {"libx264": "medium", "libx265": "medium", "libsvtav1": "8"}
_ALWAYS = {
    "libx265": {"x265-params": "log-level=error"},
    "libvpx-vp9": {"row-mt": "1", "cpu-used": "4"},
    "libsvtav1": {"svtav1-params": "color-format=1"},
}
_LOSSLESS = ("ffv1", "apng", "png", "huffyuv", "ffvhuff", "libx264rgb")
# Formats with transparency that an encoder lists and then refuses, as FFmpeg's own libraries are built.
_OPAQUE = {"libx265": (), "libvpx-vp9": ("yuva420p",)}
_EVEN_ONLY = ("libx264", "libx265", "h264_nvenc", "hevc_nvenc", "av1_nvenc")


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """Everything an encoder is opened with. `info` has the colour of what is written."""

    codec: str
    pix_fmt: str
    options: Mapping[str, str]
    info: VideoInfo
    warnings: tuple[str, ...] = ()


def choose(
    path: Path,
    info: VideoInfo,
    *,
    codec: str | None,
    crf: float | None,
    preset: str | None,
    pix_fmt: str | None,
) -> Encoding:
    """The encoding for `path`: what the user said, and for the rest what keeps the source as it is.

    Raises:
        TweenError: if the codec or pixel format is unknown, or one of them does not take what was asked.
    """
    eight, deeper = _ENCODERS.get(path.suffix.lower(), _ANYWHERE)
    encoder = _encoder(
        codec or (eight if info.bits <= 8 or (info.alpha and eight == "libvpx-vp9") else deeper)
    )
    formats = _formats(encoder)
    if pix_fmt is not None and pix_fmt not in formats:
        raise TweenError(
            f"{encoder.name} does not take the pixel format {pix_fmt}; it takes {', '.join(formats)}"
        )
    chosen = pix_fmt or _closest(encoder.name, formats, info)
    colour = _written_colour(info, Layout.of(chosen))
    return Encoding(
        codec=encoder.name,
        pix_fmt=chosen,
        options=_options(encoder.name, crf, preset, replace(info, colour=colour)),
        info=replace(info, colour=colour),
        warnings=tuple(_losses(encoder.name, chosen, info)),
    )


def _encoder(name: str) -> av.Codec:
    try:
        encoder = av.Codec(name, "w")
    except (av.error.FFmpegError, ValueError):
        encoder = None
    if encoder is None or encoder.type != "video":
        raise TweenError(f"there is no video encoder {name!r} here; try libx264, libx265, libsvtav1 or ffv1")
    return encoder


def _formats(encoder: av.Codec) -> list[str]:
    """The pixel formats it takes from main memory (`cuda` lies in a GPU's and has no components)."""
    known = [form for form in encoder.video_formats or () if form.components]
    taken = _OPAQUE.get(encoder.name)
    return [
        form.name
        for form in known
        if taken is None or form.name in taken or not any(part.is_alpha for part in form.components)
    ]


def _options(encoder: str, crf: float | None, preset: str | None, info: VideoInfo) -> dict[str, str]:
    options = dict(_ALWAYS.get(encoder, {}))
    os.environ.setdefault("SVT_LOG", "1")  # errors only: the AV1 encoder prints its settings otherwise
    if crf is not None and encoder not in _CRF:
        raise TweenError(f"{encoder} has no crf; leave --crf out, or choose one of {', '.join(_CRF)}")
    if encoder == "gif" and info.alpha:
        options["gifflags"] = "-offsetting-transdiff"  # its cropping loses a pixel at the edge of a hole
    if encoder in _CRF:
        options["crf"] = f"{_CRF[encoder] if crf is None else crf:g}"
    if preset is not None and encoder not in _PRESETS:
        raise TweenError(
            f"{encoder} has no preset; leave --preset out, or choose one of {', '.join(_PRESETS)}"
        )
    if encoder in _PRESETS:
        options["preset"] = preset or _PRESETS[encoder]
    if info.colour.location:
        options["chroma_sample_location"] = str(info.colour.location)
    for key, value in _hdr(encoder, info.side_data).items():
        options[key] = ":".join(filter(None, [options.get(key), value]))
    return options


def _closest(encoder: str, formats: list[str], info: VideoInfo) -> str:
    """The format of `formats` that keeps most of the source: alpha first, then bits, then chroma."""
    layout = Layout.of(info.pix_fmt)
    if encoder == "gif":
        return "pal8"
    if encoder in _LOSSLESS and info.pix_fmt in formats and layout.alpha == info.alpha:
        return info.pix_fmt

    def loss(name: str) -> tuple:
        """What choosing the pixel format `name` would lose, the worst first."""
        other = Layout.of(name)
        fits = all(
            size % step == 0 for size, step in zip((info.height, info.width), other.steps, strict=True)
        )
        chroma = (2, 2) if layout.rgb or layout.grey else layout.steps  # what every player takes
        return (
            encoder in _EVEN_ONLY and not fits,
            info.alpha and not other.alpha,
            max(0, info.bits - other.bits),
            other.alpha and not info.alpha,
            other.grey and not (encoder in _LOSSLESS and layout.grey),
            other.rgb and not (encoder in _LOSSLESS and layout.rgb),
            (other.name != other.planar and encoder not in _LOSSLESS) or other.jpeg,
            sum(max(0, a - b) for a, b in zip(other.steps, chroma, strict=True)),
            other.bits,
            -sum(other.steps),
        )

    return min(formats, key=loss)


def _written_colour(info: VideoInfo, layout: Layout) -> Colour:
    """The source's tags; a picture that was RGB and now is not becomes BT.709 and says so."""
    source = Layout.of(info.pix_fmt)
    if layout.rgb or not source.rgb:
        full_range = FULL if source.jpeg and not layout.rgb else info.colour.range
        return replace(info.colour, range=full_range)
    primaries, transfer = info.colour.primaries, info.colour.transfer
    return Colour(
        range=LIMITED,
        matrix=1,
        primaries=1 if primaries == UNTAGGED else primaries,
        transfer=1 if transfer == UNTAGGED else transfer,
        location=LEFT,
    )


def _losses(encoder: str, pix_fmt: str, info: VideoInfo) -> list[str]:
    source, chosen = Layout.of(info.pix_fmt), Layout.of(pix_fmt)
    found = []
    for name, people in (("DOVI_RPU_BUFFER", "Dolby Vision"), ("DYNAMIC_HDR_PLUS", "HDR10+")):
        if name in info.side_data:
            found.append(f"{people} metadata, made for each frame, is not carried; the base picture is")
    if info.alpha and not (chosen.alpha or encoder == "gif"):
        found.append(f"{encoder} here holds no transparency; what was transparent is laid over black")
    if info.bits > chosen.bits or (encoder == "gif" and info.bits > 8):
        found.append(f"{encoder} writes {chosen.bits} bits a colour here, the source has {info.bits}")
    if encoder in _EVEN_ONLY and chosen.steps < source.steps and (info.width % 2 or info.height % 2):
        found.append(
            f"the odd size {info.width}x{info.height} is kept by full chroma ({pix_fmt}), which some players "
            "do not take"
        )
    return found


def _hdr(encoder: str, side_data: Mapping[str, bytes]) -> dict[str, str]:
    """Static HDR metadata (SMPTE ST 2086, CTA-861.3) in the encoder's own words."""
    key, display, light = {
        "libx265": ("x265-params", "master-display", "max-cll"),
        "libx264": ("x264-params", "mastering-display", "cll"),
        "libsvtav1": ("svtav1-params", "mastering-display", "content-light"),
    }.get(encoder, ("", "", ""))
    words = []
    if mastering := side_data.get("MASTERING_DISPLAY_METADATA"):
        red, green, blue, white, luminance, stated = _mastering(mastering)
        unit, nits = (1, 1) if encoder == "libsvtav1" else (50000, 10000)
        spots = zip(("G", "B", "R", "WP"), (green, blue, red, white), strict=True)
        text = "".join(f"{name}({_n(x * unit)},{_n(y * unit)})" for name, (x, y) in spots)
        if stated:
            words.append(f"{display}={text}L({_n(luminance[1] * nits)},{_n(luminance[0] * nits)})")
    if cll := side_data.get("CONTENT_LIGHT_LEVEL"):
        words.append("{}={},{}".format(light, *struct.unpack_from("2I", cll)))
    return {key: ":".join(words)} if key and words else {}


def _mastering(data: bytes) -> tuple:
    """Red, green, blue and white (x, y), (min, max) luminance in cd/m2, and whether all of them are stated."""
    numbers = struct.unpack_from("22i", data)
    values = [Fraction(a, b or 1) for a, b in zip(numbers[0:20:2], numbers[1:20:2], strict=True)]
    pairs = list(zip(values[0::2], values[1::2], strict=True))
    return *pairs, bool(numbers[20] and numbers[21])


def _n(value: Fraction) -> str:
    return f"{float(value):.10g}"
