"""A media file as segments of a model's length, streamed: sound and frames side by side, whatever the file's length.

The rules of time, of level and of size are those of the server.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

import numpy as np

from .ffmpeg import BadSample, Header, Track, blocks
from .hdr import tone_map
from .shape import FrameShape, SegmentShape, SoundShape, kept_shapes

T = TypeVar("T")
LEAST_TAIL_SECONDS = 1.0  # a shorter rest is no segment, unless it is all there is
LEAST_GRID_SECONDS = 0.04
SILENT_PEAK = 1e-4  # -80 dBFS
FLAT_DEVIATION = 2.0  # of 255, per channel
TOLERATED_COMPLAINTS = 2  # of ffmpeg: one packet that cannot be decoded makes two
SHORT_SECONDS = 1.0  # less than the header states, from which any complaint is damage


@dataclass(frozen=True)
class Window:
    """Which part of a clip, in its own seconds."""

    start: float = 0.0
    end: float = math.inf

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class Frames:
    pixels: np.ndarray  # uint8 [F, H, W, 3]
    times: np.ndarray  # [F], seconds after the start of their segment
    seconds: float  # that they stand for

    @property
    def blank(self) -> bool:
        """Each of one flat colour, but for what coding adds."""
        return bool((self.pixels.std(axis=(1, 2), dtype=np.float32) <= FLAT_DEVIATION).all())


@dataclass(frozen=True)
class Segment:
    start: float  # seconds after the start of the clip
    seconds: float
    sound: np.ndarray | None  # float32 [n], n <= samples of the shape; None where there is none
    frames: Frames | None  # at most those of the shape; None where there are none

    @property
    def silent(self) -> bool:
        """There is a sound track, and nothing to be heard on it."""
        return self.sound is not None and float(np.abs(self.sound).max()) < SILENT_PEAK


def segments(path: Path, header: Header, shape: SegmentShape, window: Window = Window()) -> Iterator[Segment]:
    """The segments of a window; of a damaged file all that can be read, and then `BadSample`."""
    if header.sound is None and header.picture is None:
        raise BadSample(f"neither sound nor picture in {path.name}", "no_content")
    if header.seconds is not None and window.start >= header.seconds:
        raise BadSample(f"{path.name} ends at {header.seconds} s, before {window.start} s", "outside")
    damage: list[BadSample] = []
    said: list[str] = []
    heard = sound_parts(path, header.sound, shape.sound, window, said) if header.sound else ()
    seen = frame_parts(path, header.picture, shape.picture, window, said) if header.picture else ()
    number, ended = -1, window.start
    for number, (sound, frames) in enumerate(zip_longest(_until_damage(heard, damage), _until_damage(seen, damage))):
        segment = _segment(window.start + number * shape.seconds, sound, frames, shape)
        ended = segment.start + segment.seconds
        if number == 0 or segment.seconds >= LEAST_TAIL_SECONDS:
            yield segment
    if damage:
        raise damage[0]
    if number < 0:
        raise BadSample(f"nothing of {path.name} can be decoded", "undecodable")
    is_short = ended < min(window.end, header.seconds or 0.0) - SHORT_SECONDS
    if window.start == 0 and len(said) > (0 if is_short else TOLERATED_COMPLAINTS):  # midway, what is referred to lacks
        raise BadSample(f"ffmpeg complains of {path.name}: {said[-1]}", "broken")


def sound_parts(
    path: Path, track: Track, shape: SoundShape, window: Window = Window(), said: list[str] | None = None
) -> Iterator[np.ndarray]:
    """The track, mono, in parts of a segment's samples; where it begins later, zeros lead up to it.    float32 [n]

    ffmpeg's complaints go to `said`.
    """
    lead = min(max(0.0, track.starts_at - window.start), window.seconds)
    seek = ["-ss", str(window.start)] if window.start else []
    limit = [] if math.isinf(window.end) else ["-t", str(window.seconds - lead)]
    options = ["-map", f"0:{track.index}", *mono_options(shape.sample_rate, shape.channels), *limit]
    rest = np.zeros(round(lead * shape.sample_rate), np.float32)
    for block in blocks(path, seek, options, 4 * shape.samples, said):
        rest = np.concatenate([rest, np.frombuffer(block, np.float32, len(block) // 4)])
        for _ in range(len(rest) // shape.samples):
            yield tidy(rest[: shape.samples], path.name)
            rest = rest[shape.samples :]
    if len(rest):
        yield tidy(rest, path.name)


def mono_options(sample_rate: int, channels: str) -> list[str]:
    """Raw float32, the first channel or the mean of all, gaps in the track's clock filled."""
    first = "pan=mono|c0=c0," if channels == "first" else ""
    resampling = f"{first}aresample={sample_rate}:async=1:rematrix_maxval=1"
    return ["-af", resampling, "-ac", "1", "-ar", str(sample_rate), "-f", "f32le"]


def tidy(samples: np.ndarray, name: str) -> np.ndarray:
    """Finite, and in [-1, 1]: decoders overshoot."""
    if not np.isfinite(samples).all():
        raise BadSample(f"samples of {name} are not finite", "not_finite")
    return samples.clip(-1, 1)


def frame_parts(
    path: Path, track: Track, shape: FrameShape, window: Window = Window(), said: list[str] | None = None
) -> Iterator[Frames]:
    """By time: what is on show in the middle of each cell of a segment, however frames are spaced.

    A track shorter than a segment has its cells within its stated length. ffmpeg's complaints go to `said`.
    """
    stated = _stated_seconds(track, window)
    grid_ms = round(1000 * min(max(LEAST_GRID_SECONDS, stated), shape.seconds))
    cell = grid_ms / 1000 / shape.count
    lead = track.starts_at - window.start
    for number, block in enumerate(_pixels(path, track, shape, window, grid_ms, said)):
        pixels = np.frombuffer(block, np.uint8).reshape(-1, shape.height, shape.width, 3)
        times = (np.arange(len(pixels)) + 0.5) * cell
        begun = times + cell / 2 > lead - number * shape.seconds  # before the track begins ffmpeg shows its first frame
        if stated >= shape.seconds or number == 0:
            claimed = stated - number * shape.seconds
            yield Frames(pixels[begun], times[begun], _measured(len(pixels), cell, claimed, shape))
        elif len(pixels) == shape.count:  # more than the rounding of its last cell
            raise BadSample(f"the picture of {path.name} goes on after its stated {stated} s", "longer_than_stated")


def _pixels(
    path: Path, track: Track, shape: FrameShape, window: Window, grid_ms: int, said: list[str] | None
) -> Iterator[bytearray]:
    """The frames of one segment after the other."""
    # Not the accurate seek: it would drop the frame on show at the start, which began before it.
    seek = ["-noaccurate_seek", "-ss", str(window.start)] if window.start else []
    cells = window.seconds * 1000 / grid_ms * shape.count
    limit = [] if math.isinf(cells) else ["-frames:v", str(max(1, round(cells)))]
    chain = f"fps={shape.count * 1000}/{grid_ms}:start_time=0:eof_action=pass,{_scale(shape)}{tone_map(track)}"
    options = ["-map", f"0:{track.index}", "-vf", chain, *limit, "-f", "rawvideo", "-pix_fmt", "rgb24"]
    size = shape.height * shape.width * 3
    for block in blocks(path, ["-reinit_filter", "0", *seek], options, shape.count * size, said):
        if whole := len(block) // size * size:
            yield block[:whole]


def _scale(shape: FrameShape) -> str:
    width, height, flags = shape.width, shape.height, "flags=bilinear+accurate_rnd+full_chroma_int"
    if shape.resize == "squash":
        return f"scale={width}:{height}:{flags},setsar=1"
    tallest, widest = kept_shapes(shape.resize, width, height)
    size = f"w='max({width},round({width}*dar/{widest}))':h='max({height},round({height}*{tallest}/dar))'"
    return f"scale={size}:{flags},crop={width}:{height},setsar=1"


def _stated_seconds(track: Track, window: Window) -> float:
    """Of the window, by the header; infinite where neither says."""
    if not track.seconds:
        return window.seconds
    return max(0.0, min(track.starts_at + track.seconds, window.end) - window.start)


def _measured(cells: int, cell: float, claimed: float, shape: FrameShape) -> float:
    """The header's length is believed where the cells that came agree with it."""
    if cells == shape.count:
        return cells * cell
    least = (cells - 1) * cell
    return claimed if least <= claimed <= cells * cell else least


def _until_damage(parts: Iterator[T], damage: list[BadSample]) -> Iterator[T]:
    try:
        yield from parts
    except BadSample as bad:
        damage.append(bad)


def _segment(start: float, sound: np.ndarray | None, frames: Frames | None, shape: SegmentShape) -> Segment:
    heard = 0 if sound is None else len(sound) / shape.sample_rate
    seconds = min(shape.seconds, max(heard, 0 if frames is None else frames.seconds))
    return Segment(start, round(seconds, 3), sound, frames if frames is not None and len(frames.pixels) else None)
