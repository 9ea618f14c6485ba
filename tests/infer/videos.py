"""Small video files with exact times and sound, made with PyAV alone."""

from fractions import Fraction

import av
import numpy as np

BASE = Fraction(1, 90000)


def picture(index: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A smooth slope that moves by two pixels a frame."""
    h, w = size
    x = np.arange(w) + 2 * index
    row = 128 + 80 * np.sin(x / 7)
    column = 0.3 * np.arange(h)
    return np.repeat((row[None] + column[:, None])[..., None], 3, 2).clip(0, 255).astype(np.uint8)


def write(path, times, *, pictures=None, rate=30, base=BASE, sound=False, codec="libx264"):
    """A video whose frame i is shown from `times[i]` seconds on."""
    pictures = pictures or [picture(i) for i in range(len(times))]
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate, options={"crf": "4", "bf": "0"})
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = base
        audio = container.add_stream("aac", rate=48000, layout="mono") if sound else None
        for time, pixels in zip(times, pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(Fraction(time) / base), base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio:
            length = float(times[-1]) + 1 / rate
            wave = (
                np.sin(np.arange(int(48000 * length)) * 440 * 2 * np.pi / 48000).astype(np.float32)[None]
                * 0.2
            )
            for start in range(0, wave.shape[1], 1024):
                frame = av.AudioFrame.from_ndarray(
                    wave[:, start : start + 1024], format="fltp", layout="mono"
                )
                frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path
