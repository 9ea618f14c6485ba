"""The source's other streams, carried into the output as packets.

Only what the container cannot hold is changed: sound is encoded anew, text subtitles are put in another form.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av

from tween.video.info import opened, pictures
from tween.video.words import add_words, form_for, reworded

_NOT_COPIED = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "duration",
    "creation_time_utc",
}
_BITS_A_CHANNEL = 96_000
_SOUND_RATE = 48_000  # every encoder takes it
_SUBTITLES_IN_TS = ("dvbsub", "dvb_subtitle", "dvb_teletext", "libzvbi_teletextdec")


class Copier:
    """Packets of the other streams in the order of the file, given out as the output's time advances."""

    def __init__(self, source, target, window: tuple[Fraction, Fraction | None], origin: Fraction) -> None:
        self._target, self._window, self._origin = target, window, origin
        self.warnings: list[str] = []
        self._streams, self._encoded, self._reworded = {}, set(), {}
        for stream in source.streams:
            if stream is not pictures(source):
                self._add(stream)
        self._packets = self._wanted(source)
        self._ahead: tuple[Fraction, list[av.Packet]] | None = None

    def advance(self, time: Fraction | None) -> None:
        """Mux the packets before `time` (source seconds); all the rest if None."""
        while (ahead := self._ahead or next(self._packets, None)) is not None:
            self._ahead = ahead
            if time is not None and ahead[0] >= time:
                return
            self._ahead = None
            self._target.mux(ahead[1])

    def _add(self, stream: av.stream.Stream) -> None:
        container = self._target.format.name
        if _fits(stream, container):
            copy = self._target.add_stream_from_template(stream)
        elif stream.type == "audio" and (codec := _sound_codec(container)):
            copy = self._target.add_stream(codec, rate=_SOUND_RATE)
            copy.layout, copy.bit_rate = stream.layout, _BITS_A_CHANNEL * stream.channels
            self._encoded.add(stream.index)
            self.warnings.append(f"{_name(stream)} was encoded anew as {codec}: {container} cannot hold it")
        elif stream.type == "subtitle" and (
            form := form_for(container, stream.codec_context.codec.canonical_name)
        ):
            copy = add_words(self._target, form)
            self._reworded[stream.index] = form
            self.warnings.append(
                f"{_name(stream)} was turned into plain {form}: {container} holds no other text"
            )
        else:
            self.warnings.append(f"{_name(stream)} was left out: {_reason(stream, container)}")
            return
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        self._streams[stream.index] = copy

    def _wanted(self, source) -> Iterator[tuple[Fraction, list[av.Packet]]]:
        for stream in source.streams:
            if stream.index not in self._streams:
                stream.discard = av.stream.Discard.all
        carried = [s for s in source.streams if s.index in self._streams and s.type != "attachment"]
        for packet in source.demux(carried) if carried else ():
            if packet.stream.index in self._encoded:
                yield from self._anew(packet)
            elif packet.size and (time := _time(packet)) is not None and self._inside(time, packet.stream):
                yield time, self._moved(packet)
        for index in self._encoded:
            yield self._window[0], self._streams[index].encode(None)

    def _anew(self, packet: av.Packet) -> Iterator[tuple[Fraction, list[av.Packet]]]:
        stream = packet.stream
        for frame in packet.decode():
            time = frame.pts * frame.time_base
            if self._inside(time, stream):
                frame.pts -= round(self._origin / frame.time_base)
                yield time, self._streams[stream.index].encode(frame)

    def _inside(self, time: Fraction, stream: av.stream.Stream) -> bool:
        start, stop = self._window
        return _is_cover(stream) or (time >= start and (stop is None or time < stop))

    def _moved(self, packet: av.Packet) -> list[av.Packet]:
        stream, index = self._streams[packet.stream.index], packet.stream.index
        if index in self._reworded:
            packet = reworded(packet, self._reworded[index])
        if packet is None:
            return []
        shift = round(self._origin / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = stream
        return [packet]


@contextmanager
def copier(
    path: str | Path,
    target: av.container.OutputContainer,
    *,
    start: Fraction | None,
    stop: Fraction | None,
    origin: Fraction,
) -> Iterator[Copier]:
    """Carry sound, subtitles, attachments and cover art of `path` that lie in [start, stop) into `target`.

    Times are source seconds (`start` None: from the beginning); `origin` becomes 0. Chapters and tags are set too.
    """
    with opened(path) as source:
        target.metadata.update(tags(source.metadata))
        target.set_chapters(_chapters(source.chapters(), start, stop, origin))
        beginning = Fraction(-(10**9)) if start is None else start
        yield Copier(source, target, (beginning, stop), origin)


def tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags that speak of the content, not of the container they came in."""
    return {key: value for key, value in metadata.items() if key.lower() not in _NOT_COPIED}


def _chapters(
    chapters: list[dict], start: Fraction | None, stop: Fraction | None, origin: Fraction
) -> list[dict]:
    kept = []
    for chapter in chapters:
        base = chapter["time_base"]
        first, last = chapter["start"] * base, chapter["end"] * base
        first = first if start is None else max(first, start)
        last = last if stop is None else min(last, stop)
        if first < last:
            kept.append(
                chapter | {"start": round((first - origin) / base), "end": round((last - origin) / base)}
            )
    return kept


def _fits(stream: av.stream.Stream, container: str) -> bool:
    """Whether the container takes the stream: a header with it alone is tried in memory."""
    if stream.type == "data" or (stream.type == "video" and not _is_cover(stream)):
        return False
    if stream.codec_context is None and stream.type != "attachment":
        return False
    if container == "mpegts" and stream.type == "subtitle":  # it takes any, but as bytes without meaning
        return stream.codec_context.name in _SUBTITLES_IN_TS
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            if _is_cover(stream):  # no container starts with cover art
                return bool(trial.add_stream_from_template(stream, opaque=True))
            trial.add_stream_from_template(stream)
            trial.start_encoding()
        return True
    except (av.error.FFmpegError, ValueError, OSError):
        return False


def _sound_codec(container: str) -> str | None:
    """An encoder for sound that the container takes."""
    for codec in ("aac", "libopus", "mp2"):
        try:
            with av.open(io.BytesIO(), "w", format=container) as trial:
                trial.add_stream(codec, rate=_SOUND_RATE)
                trial.start_encoding()
            return codec
        except (av.error.FFmpegError, ValueError, OSError):
            continue
    return None


def _time(packet: av.Packet) -> Fraction | None:
    stamp = packet.pts if packet.pts is not None else packet.dts
    return None if stamp is None else stamp * packet.time_base


def _is_cover(stream: av.stream.Stream) -> bool:
    return stream.type == "video" and bool(stream.disposition & av.stream.Disposition.attached_pic)


def _name(stream: av.stream.Stream) -> str:
    codec = (
        stream.codec_context.codec.canonical_name if stream.codec_context else getattr(stream, "name", None)
    )
    return f"{stream.type} stream {stream.index}" + (f" ({codec})" if codec else "")


def _reason(stream: av.stream.Stream, container: str) -> str:
    if stream.type == "video":
        return "only the first picture stream is worked on"
    if stream.type == "data":
        return "data streams are not carried"
    return f"{container} cannot hold it; Matroska (.mkv) holds most kinds"
