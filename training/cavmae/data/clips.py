"""What there is to prepare: a folder of media, or the clips of AudioSet or VGGSound that a CSV names."""

import csv
import hashlib
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..media.ffmpeg import Header
from ..media.segments import Window
from .audioset import audioset_labels, column_of_mid

VIDEOS = {
    ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4",
    ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
}  # fmt: skip
SOUNDS = {
    ".aac", ".ac3", ".aif", ".aiff", ".flac", ".m4a", ".mka", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma",
}  # fmt: skip
PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
VGGSOUND_SECONDS = 10.0
TRIMMED_SLACK_SECONDS = 1.0  # by which a file may be longer than the clip that it was cut to


@dataclass(frozen=True)
class Clip:
    """A range of one file; a file that holds little more than the range is the range."""

    key: str  # of letters that any tar reader and file system takes
    source: str  # as the folder or the CSV calls it
    path: Path | None  # None where a CSV names a clip that has no file
    recording: str  # clips of one recording stay on one side of a split
    start: float = 0.0
    end: float = math.inf
    trimmed: bool = False  # the file's name says that it is the range
    labels: tuple[str, ...] | None = None  # mids, or names where the classes have no mids
    split: str | None = None

    def window(self, header: Header) -> Window:
        length = self.end - self.start
        if self.trimmed or (header.seconds is not None and header.seconds <= length + TRIMMED_SLACK_SECONDS):
            return Window(0.0, length)
        return Window(self.start, self.end)


@dataclass(frozen=True)
class Listing:
    name: str  # of the folder or CSV
    clips: list[Clip]
    classes: list[dict] | None  # what labels may say; None without labels
    ignored: int  # files that are no media by their names


def list_folder(folder: Path) -> Listing:
    """Every media file below a folder, by name."""
    media, ignored = _media_below(folder)
    sources = [path.relative_to(folder).as_posix() for path in media]
    clips = [Clip(_key(source), source, path, source) for source, path in zip(sources, media, strict=True)]
    return Listing(folder.resolve().name, clips, None, ignored)


def list_csv(table: Path, media: Path) -> Listing:
    """Rows of AudioSet (YTID, start_seconds, end_seconds, positive_labels) or VGGSound (id, start, label, split)."""
    rows = list(_rows(table))
    if not rows:
        raise ValueError(f"Expected rows of AudioSet or VGGSound in {table}, got none")
    is_audioset = _number(rows[0][1][2]) is not None
    files, ignored = _media_below(media)
    by_stem = _by_stem(files)
    read = _audioset_clip if is_audioset else _vggsound_clip
    clips = [read(table, line, row, by_stem) for line, row in rows]
    _refuse_repeated(table, clips)
    return Listing(table.name, clips, audioset_labels() if is_audioset else _classes_of(clips), ignored)


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES


def _media_below(folder: Path) -> tuple[list[Path], int]:
    if not folder.is_dir():
        raise ValueError(f"Expected a folder of media, got {folder}")
    media, ignored = [], 0
    for parent, folders, names in os.walk(folder, onerror=_unreadable):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.suffix.lower() in VIDEOS | SOUNDS | PICTURES and not name.startswith("."):
                media.append(path)
            else:
                ignored += 1
    return media, ignored


def _unreadable(error: OSError) -> None:
    raise error


def _by_stem(files: list[Path]) -> dict[str, Path]:
    """Where one name has several files, the video."""
    order = {suffix: place for place, kind in enumerate((PICTURES, SOUNDS, VIDEOS)) for suffix in kind}
    return {path.stem: path for path in sorted(files, key=lambda path: order[path.suffix.lower()])}


def _rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    """With line numbers; comments and the line of headings are left out."""
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, skipinitialspace=True)
        for row in reader:
            heading = reader.line_num == 1 and len(row) > 1 and _number(row[1]) is None
            if not any(map(str.strip, row)) or row[0].startswith("#") or heading:
                continue
            start = _number(row[1]) if len(row) == 4 else None
            if start is None or start < 0:
                raise _bad_row(table, reader.line_num, row)
            yield reader.line_num, row


def _audioset_clip(table: Path, line: int, row: list[str], by_stem: dict[str, Path]) -> Clip:
    start, end, labels = _number(row[1]), _number(row[2]), tuple(row[3].split(","))
    if end is None or end <= start or not column_of_mid().keys() >= set(labels):
        raise _bad_row(table, line, row)
    return _clip(row[0], start, end, labels, None, by_stem)


def _vggsound_clip(table: Path, line: int, row: list[str], by_stem: dict[str, Path]) -> Clip:
    start = _number(row[1])
    if row[3] not in ("train", "test"):
        raise _bad_row(table, line, row)
    return _clip(row[0], start, start + VGGSOUND_SECONDS, (row[2],), row[3], by_stem)


def _clip(name: str, start: float, end: float, labels: tuple[str, ...], split: str | None, by_stem: dict) -> Clip:
    trimmed = next((by_stem[stem] for stem in _trimmed_names(name, start, end) if stem in by_stem), None)
    path = trimmed or by_stem.get(name) or by_stem.get(f"Y{name}")
    source = f"{name}_{start:g}"
    return Clip(_key(source), source, path, name, start, end, trimmed is not None, labels, split)


def _trimmed_names(name: str, start: float, end: float) -> list[str]:
    """What downloaders call the clip of a video: seconds, padded seconds, milliseconds, with the end or without."""
    ranges = [f"{start:g}", f"{start:.3f}", f"{round(start):06d}", f"{round(1000 * start)}"]
    ends = [f"{end:g}", f"{end:.3f}", f"{round(end):06d}", f"{round(1000 * end)}"]
    ranges += [f"{a}_{b}" for a, b in zip(ranges, ends, strict=True)]
    return [f"{prefix}{name}_{part}" for prefix in ("", "Y") for part in ranges]


def _classes_of(clips: list[Clip]) -> list[dict]:
    names = sorted({label for clip in clips for label in clip.labels})
    return [{"index": index, "name": name} for index, name in enumerate(names)]


def _refuse_repeated(table: Path, clips: list[Clip]) -> None:
    seen: set[str] = set()
    for clip in clips:
        if clip.key in seen:
            raise ValueError(f"Expected each id and start once in {table}, got {clip.source} again")
        seen.add(clip.key)


def _bad_row(table: Path, line: int, row: list[str]) -> ValueError:
    return ValueError(
        f"Expected AudioSet (id, start, end, labels among the {len(column_of_mid())}) or VGGSound (id, start, label, "
        f"train | test) in line {line} of {table}, got {row}"
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _key(source: str) -> str:
    """Readable, and different for different sources."""
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", Path(source).stem if "/" in source or "." in source else source)
    return f"{stem[:40]}-{hashlib.sha1(os.fsencode(source)).hexdigest()[:12]}"
