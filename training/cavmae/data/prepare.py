"""Media files into shards: streamed through ffmpeg, in parallel, resumable; what is bad is skipped and counted."""

import fcntl
import io
import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from ..media.decode import decode_picture
from ..media.ffmpeg import BadSample, Header, probe
from ..media.hdr import can_tone_map, is_hdr
from ..media.segments import Frames, Segment, segments
from ..media.shape import SegmentShape
from ..options import check_least
from .clips import Clip, Listing, is_picture
from .interleave import interleave
from .ledger import MISSING, Ledger, Progress, Skip
from .shards import SPEC, Packed, ShardWriter, Spec, remove_unfinished, write_whole

JPEG_QUALITY = 95


@dataclass(frozen=True)
class PrepareOptions:
    workers: int = os.cpu_count() or 1  # clips at once
    shard_megabytes: int = 128  # a killed run loses less than one

    def __post_init__(self):
        check_least(self, workers=1, shard_megabytes=1)


def prepare(listing: Listing, shape: SegmentShape, out: Path, options: PrepareOptions = PrepareOptions()) -> dict:
    """Goes on where an earlier run into `out` stopped; returns the summary, which is also written there."""
    out.mkdir(parents=True, exist_ok=True)
    with _locked(out):
        _agree(Spec(shape, listing.classes, listing.name), out)
        remove_unfinished(out)
        with Ledger(out) as ledger:
            _fill(listing, shape, ledger, options)
            summary = ledger.summary(listing)
    write_whole(out / "summary.json", json.dumps(summary, indent=1) + "\n")
    return summary


def pack(clip: Clip, shape: SegmentShape) -> Iterator[Packed | Skip]:
    """The clip's samples, the last one with what became of the clip; or why there are none."""
    held: tuple[int, Segment] | None = None
    header, empty, damage = None, 0, None
    try:
        header = None if is_picture(clip.path) else probe(clip.path)
        for number, segment in enumerate(_segments(clip, header, shape)):
            if not _is_heard(segment) and not _is_seen(segment):
                empty += 1
                continue
            if held:
                yield _packed(clip, *held, shape, None)
            held = number, segment
    except BadSample as bad:
        damage = bad
    if held:
        end = {"damage": damage and damage.reason, "empty_segments": empty, "hdr_not_mapped": _is_pale(header)}
        yield _packed(clip, *held, shape, end)
    else:
        damage = damage or BadSample("nothing to be heard or seen", "empty")
        yield Skip(clip.key, clip.source, damage.reason, str(damage))


def _fill(listing: Listing, shape: SegmentShape, ledger: Ledger, options: PrepareOptions) -> None:
    for clip in listing.clips:
        if clip.path is None and clip.key not in ledger:
            ledger.skip(Skip(clip.key, clip.source, MISSING, "no file of this name"))
    todo = [clip for clip in listing.clips if clip.key not in ledger]
    progress = Progress(len(listing.clips), len(listing.clips) - len(todo))
    results = interleave(todo, lambda clip: pack(clip, shape), options.workers)
    with ShardWriter(ledger.folder, ledger.shards, options.shard_megabytes << 20) as writer, closing(results):
        for result in results:
            if isinstance(result, Skip):
                ledger.skip(result)
            elif result.facts["key"] not in ledger.begun:
                writer.add(result)
                ledger.count(result.facts)
            progress.show(ledger)


def _segments(clip: Clip, header: Header | None, shape: SegmentShape) -> Iterator[Segment]:
    if header is None:
        picture = decode_picture(clip.path, (shape.height, shape.width), shape.resize)
        yield Segment(0.0, 0.0, None, Frames(picture[None], np.zeros(1), 0.0))
    else:
        yield from segments(clip.path, header, shape, clip.window(header))


def _is_pale(header: Header | None) -> bool:
    """HDR whose colours stay as they are, paler than on a screen."""
    return bool(header and header.picture and is_hdr(header.picture) and not can_tone_map())


def _is_heard(segment: Segment) -> bool:
    return segment.sound is not None and not segment.silent


def _is_seen(segment: Segment) -> bool:
    return segment.frames is not None and not segment.frames.blank


def _packed(clip: Clip, number: int, segment: Segment, shape: SegmentShape, end: dict | None) -> Packed:
    heard, seen = _is_heard(segment), _is_seen(segment)
    facts = {
        "key": f"{clip.key}-{number:05d}",
        "clip": clip.key,
        "source": clip.source,
        "recording": clip.recording,
        "split": clip.split,
        "start": segment.start,
        "seconds": segment.seconds,
        "has_sound": heard,
        "has_picture": seen,
        "silent": segment.silent,
        "blank": segment.frames is not None and not seen,
        "times": segment.frames.times.round(3).tolist() if seen else [],
        "labels": clip.labels,
        "end": end,
    }
    sound = _flac(segment.sound, shape.sample_rate) if heard else None
    return Packed(sound, [_jpeg(frame) for frame in segment.frames.pixels] if seen else [], facts)


def _flac(samples: np.ndarray, rate: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _jpeg(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise ValueError(f"Expected no other run that prepares {out}, got one: wait for it or stop it") from cause
        yield


def _agree(spec: Spec, out: Path) -> None:
    """Samples of two kinds never meet in one folder."""
    if not (out / SPEC).exists():
        write_whole(out / SPEC, json.dumps(spec.json(), indent=1) + "\n")
        return
    before = Spec.read(out).json()
    for name, value in spec.json().items():
        if before[name] != value:
            raise ValueError(f"Expected the {name} that {out} was begun with, {before[name]}, got {value}")
