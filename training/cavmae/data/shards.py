"""Samples in tar shards of the WebDataset layout: KEY.flac, KEY.0.jpg, KEY.1.jpg … KEY.json, one after the other.

Beside each shard lies its index, a line for each sample, so that reading any of them is one seek. A shard counts once
its index stands: whatever a stopped run left without one is not data.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..media.ffmpeg import BadSample
from ..media.shape import SegmentShape

BLOCK = tarfile.BLOCKSIZE
SPEC = "prepare.json"
STATED_TEST = 2.0  # above any share


@dataclass(frozen=True)
class Packed:
    """One sample on its way into a shard."""

    sound: bytes | None  # FLAC
    frames: list[bytes]  # JPEG
    facts: dict  # with "key"


@dataclass(frozen=True)
class Spec:
    """What all samples of a folder have in common."""

    shape: SegmentShape
    classes: list[dict] | None
    input: str  # name of the folder or CSV

    def json(self) -> dict:
        return {"format": 1, "input": self.input, "shape": vars(self.shape), "classes": self.classes}

    @classmethod
    def read(cls, folder: Path) -> "Spec":
        path = folder / SPEC
        if not path.exists():
            raise ValueError(f"Expected a folder of shards, made by prepare, got no {SPEC} in {folder}")
        spec = json.loads(path.read_text())
        return cls(SegmentShape(**spec["shape"]), spec["classes"], spec["input"])


class ShardWriter:
    """Writes each shard under a temporary name; closing publishes the last one."""

    def __init__(self, folder: Path, number: int, most_bytes: int):
        self.folder, self.number, self.most_bytes = folder, number, most_bytes
        self._file: BinaryIO | None = None
        self._lines: list[str] = []

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *_) -> None:
        self.publish()

    def add(self, sample: Packed) -> None:
        if self._file is None:
            self._file = _partial(self._path(".tar")).open("wb")
        offset, members = self._file.tell(), _members(sample)
        try:
            self._file.write(b"".join(_member(name, data) for name, data in members))
        except BaseException:
            self._file = None  # a shard cut short, by a full disk or an interrupt, is never published
            raise
        self._lines.append(json.dumps(sample.facts | {"offset": offset, "bytes": [len(data) for _, data in members]}))
        if self._file.tell() >= self.most_bytes:
            self.publish()

    def publish(self) -> None:
        if self._file is None:
            return
        shard, lines, self._file, self._lines = self._file, self._lines, None, []
        shard.write(bytes(2 * BLOCK))
        _commit(shard, self._path(".tar"))
        index = _partial(self._path(".jsonl")).open("wb")
        index.write("".join(f"{line}\n" for line in lines).encode())
        _commit(index, self._path(".jsonl"))
        self.number += 1

    def _path(self, suffix: str) -> Path:
        return self.folder / f"shard-{self.number:06d}{suffix}"


class Shards:
    """The samples of a folder, sorted by key: the same whatever order they were written in.

    Kept as columns, about a hundred bytes a sample, since there may be millions.
    """

    def __init__(self, folder: Path):
        self.folder, self.spec = folder, Spec.read(folder)
        self.names = index_paths(folder)
        lines = sorted(index_lines(folder), key=lambda line: line[1]["key"])
        if not lines:
            raise ValueError(f"Expected samples in {folder}, got none: did prepare skip them all? See skipped.jsonl")
        self._shard = np.array([shard for shard, _ in lines], np.int32)
        self._offset = np.array([facts["offset"] for _, facts in lines], np.int64)
        self._bytes = _padded_rows([facts["bytes"] for _, facts in lines])  # [n, members], 0 = no member
        self.heard = np.array([facts["has_sound"] for _, facts in lines], bool)
        self.seen = np.array([facts["has_picture"] for _, facts in lines], bool)
        self.side = np.array([_side(facts) for _, facts in lines])  # in [0, 1) by recording; 2 = the stated test split
        self._labels = self._label_pairs([facts["labels"] for _, facts in lines])  # [pairs, 2]: sample, class

    def __len__(self) -> int:
        return len(self._shard)

    def split(self, name: str | None, val_share: float) -> np.ndarray:
        """Which samples are of `train`, `val` or `test`, or all. A recording is on one side.    bool [n]"""
        sides = {
            None: np.ones(len(self), bool),
            "train": (self.side >= val_share) & (self.side < 1),
            "val": self.side < val_share,
            "test": self.side == STATED_TEST,
        }
        if name not in sides:
            raise ValueError(f"Expected a split of train, val, test, got {name!r}")
        return sides[name]

    def label_vector(self, number: int) -> np.ndarray:
        """Multi-hot.                                                                      [classes]"""
        vector = np.zeros(len(self.spec.classes or ()), np.float32)
        first, last = np.searchsorted(self._labels[:, 0], (number, number + 1))
        vector[self._labels[first:last, 1]] = 1.0
        return vector

    def balancing_weights(self) -> np.ndarray:
        """SPEC 8: the sum over a sample's labels of 1000 / (samples of the class + 0.01).       [n]"""
        sample, label = self._labels.T
        weight = 1000 / (np.bincount(label, minlength=len(self.spec.classes or ())) + 0.01)
        return np.bincount(sample, weight[label], minlength=len(self))

    def read(self, number: int) -> Packed:
        """One seek, from any thread."""
        sizes = self._bytes[number]
        spans = _spans(sizes[sizes > 0])
        path = self.folder / self.names[self._shard[number]].with_suffix(".tar").name
        with path.open("rb", buffering=0) as file:
            file.seek(self._offset[number])
            stored = file.read(spans[-1].stop)
        if len(stored) < spans[-1].stop:
            raise BadSample(f"{path.name} ends before its sample at {self._offset[number]}", "shard_cut")
        *parts, facts = (stored[span] for span in spans)
        sound = parts.pop(0) if self.heard[number] else None
        return Packed(sound, parts, json.loads(facts))

    def _label_pairs(self, labels: list[list[str] | None]) -> np.ndarray:
        column = {label.get("mid", label["name"]): label["index"] for label in self.spec.classes or ()}
        pairs = [(number, column[name]) for number, names in enumerate(labels) for name in names or ()]
        return np.array(pairs, np.int32).reshape(-1, 2)


def index_paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("shard-*.jsonl"))


def index_lines(folder: Path) -> Iterator[tuple[int, dict]]:
    """(Number in index_paths, facts) of each sample."""
    for number, path in enumerate(index_paths(folder)):
        with path.open(encoding="utf-8") as file:
            yield from ((number, json.loads(line)) for line in file)


def remove_unfinished(folder: Path) -> None:
    """What a stopped run left: temporary files, and a shard without its index."""
    published = {path.stem for path in index_paths(folder)}
    for path in folder.glob("shard-*"):
        if path.suffix == ".partial" or (path.suffix == ".tar" and path.stem not in published):
            path.unlink()


def write_whole(path: Path, text: str) -> None:
    """In one step: never half a file under the name."""
    file = _partial(path).open("wb")
    file.write(text.encode())
    _commit(file, path)


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _commit(file: BinaryIO, path: Path) -> None:
    with file:
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)


def _members(sample: Packed) -> list[tuple[str, bytes]]:
    key = sample.facts["key"]
    sound = [(f"{key}.flac", sample.sound)] if sample.sound else []
    frames = [(f"{key}.{number}.jpg", frame) for number, frame in enumerate(sample.frames)]
    return [*sound, *frames, (f"{key}.json", json.dumps(sample.facts).encode())]


def _member(name: str, data: bytes) -> bytes:
    header = tarfile.TarInfo(name)
    header.size = len(data)
    return header.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % BLOCK)


def _spans(sizes: np.ndarray) -> list[slice]:
    """Where the data of members of these sizes lie, from the first one's header on."""
    spans, at = [], 0
    for size in sizes.tolist():
        spans.append(slice(at + BLOCK, at + BLOCK + size))
        at += BLOCK + size + -size % BLOCK
    return spans


def _padded_rows(rows: list[list[int]]) -> np.ndarray:
    table = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return table


def _side(facts: dict) -> float:
    if facts["split"] == "test":
        return STATED_TEST
    return int(hashlib.sha1(facts["recording"].encode(errors="surrogateescape")).hexdigest()[:8], 16) / 2**32
