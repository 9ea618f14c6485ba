"""Small clips made on the spot."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from tween.core import Frame
from tween.video.info import VideoInfo


def info(**changes) -> VideoInfo:
    """What a silent 64x48 clip at 25 frames a second would say."""
    return VideoInfo(
        **{
            "path": "made",
            "width": 64,
            "height": 48,
            "rate": Fraction(25),
            "time_base": Fraction(1, 12800),
            "codec": "h264",
            "pix_fmt": "yuv420p",
        }
        | changes
    )


def moving(
    n: int, height: int = 48, width: int = 64, rate: Fraction = Fraction(25), start: Fraction = Fraction(0)
):
    """`n` frames of a soft pattern that moves."""
    y, x = torch.meshgrid(torch.arange(height) / 48, torch.arange(width) / 64, indexing="ij")
    for i in range(n):
        phase = i / 10
        rgb = torch.stack(
            [torch.sin(6 * x + phase), torch.cos(5 * y + phase), torch.sin(4 * (x + y) - phase)]
        )
        yield Frame(time=start + i / rate, rgb=rgb * 0.3 + 0.5)


def with_streams(path: Path, *, seconds: int = 2, chapters: bool = True) -> Path:
    """A Matroska file with pictures, two sound tracks, subtitles, a font, chapters and tags."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sounds = [out.add_stream(codec, rate=48000) for codec in ("aac", "flac")]
        for sound, language in zip(sounds, ("eng", "deu"), strict=True):
            sound.layout = "stereo"
            sound.metadata["language"] = language
        words = out.add_mux_stream("subrip")
        words.time_base = Fraction(1, 1000)
        out.add_attachment("letters.ttf", "application/x-truetype-font", b"not really a font" * 10)
        out.metadata["title"] = "a clip"
        if chapters:
            base = Fraction(1, 1000)
            parts = [("first", 0, 800), ("second", 800, 1000 * seconds)]
            out.set_chapters(
                [
                    {"id": i, "start": a, "end": b, "time_base": base, "metadata": {"title": name}}
                    for i, (name, a, b) in enumerate(parts)
                ]
            )
        for frame in moving(25 * seconds):
            picture = av.VideoFrame.from_ndarray(
                (frame.rgb.permute(1, 2, 0) * 255).byte().contiguous().numpy(), format="rgb24"
            )
            out.mux(video.encode(picture.reformat(format="yuv420p")))
        out.mux(video.encode(None))
        for sound in sounds:
            tone(out, sound, seconds)
        for i in range(seconds):
            packet = av.Packet(f"line {i}".encode())
            packet.stream, packet.time_base = words, Fraction(1, 1000)
            packet.pts = packet.dts = 1000 * i + 100
            packet.duration = 500
            out.mux(packet)
    return path


def tone(out, sound, seconds: int) -> None:
    """Encode a stereo sine into a sound stream of `out`."""
    form = sound.codec_context.format.name
    wave = np.sin(np.arange(48000 * seconds) * 2 * np.pi * 440 / 48000) * 0.3
    frame = av.AudioFrame.from_ndarray(
        np.tile(wave.astype(np.float32), (2, 1)), format="fltp", layout="stereo"
    )
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    for part in av.AudioResampler(format=form, layout="stereo", rate=48000).resample(frame):
        out.mux(sound.encode(part))
    out.mux(sound.encode(None))


def packets(path: Path, kind: str) -> list[list[tuple[Fraction, bytes]]]:
    """Per stream of a kind, the time and bytes of every packet."""
    with av.open(str(path)) as container:
        found = {stream.index: [] for stream in container.streams if stream.type == kind}
        for packet in container.demux():
            if packet.stream.index in found and packet.size:
                found[packet.stream.index].append((packet.pts * packet.time_base, bytes(packet)))
    return list(found.values())
