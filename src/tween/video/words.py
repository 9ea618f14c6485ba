"""Text subtitles between the forms of SubRip, ASS, WebVTT and MP4's timed text. Styling is dropped."""

from __future__ import annotations

import re

import av

_TEXT = ("subrip", "ass", "ssa", "webvtt", "mov_text")
_FORMS = {"mp4": "mov_text", "mov": "mov_text", "ipod": "mov_text", "matroska": "subrip"}


def form_for(container: str, codec: str) -> str | None:
    """The form of text subtitles that `container` takes, where `codec` is text in another."""
    return _FORMS.get(container) if codec in _TEXT else None


def add_words(target: av.container.OutputContainer, form: str) -> av.stream.Stream:
    """A subtitle stream of that form, to be given packets of `reworded`."""
    if form != "mov_text":
        return target.add_mux_stream(form)
    stream = target.add_stream(form)
    stream.codec_context.subtitle_header = b""  # plain, for the default style in the header
    return stream


def reworded(packet: av.Packet, form: str) -> av.Packet | None:
    """The packet's words in another form; None for a blank that the form does not need."""
    text = _plain(bytes(packet), packet.stream.codec_context.codec.canonical_name)
    if not text and form != "mov_text":
        return None
    data = text.encode()
    copy = av.Packet(len(data).to_bytes(2, "big") + data if form == "mov_text" else data)
    copy.pts, copy.dts, copy.duration, copy.time_base = (
        packet.pts,
        packet.dts,
        packet.duration,
        packet.time_base,
    )
    return copy


def _plain(data: bytes, codec: str) -> str:
    if codec == "mov_text":
        return data[2 : 2 + int.from_bytes(data[:2], "big")].decode(errors="replace")
    text = data.decode(errors="replace")
    if codec in ("ass", "ssa"):  # ReadOrder, Layer, Style, Name, three margins, Effect, Text
        text = re.sub(r"\{[^}]*\}", "", text.split(",", 8)[-1]).replace("\\N", "\n").replace("\\n", "\n")
    return re.sub(r"</?[a-zA-Z][^>]*>", "", text).strip()
