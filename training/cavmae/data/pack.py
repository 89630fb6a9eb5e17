"""The training pack: sounds and pictures tied by concept. A weak pair is any sound with any picture of one concept."""

import json
import sys
import tarfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..media.ffmpeg import BadSample
from .audioset import CLASSES, column_of_mid

T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """One line of sounds.jsonl or pictures.jsonl."""

    key: str
    shard: str
    source: str
    source_id: str
    licence: str
    free: bool
    split: str
    concept: str | None
    audioset: tuple[str, ...]  # mids


class Pack:
    """Sounds and pictures of one folder, kept packed in memory (about 160 MB)."""

    def __init__(self, root: Path, free_only: bool = False):
        self.root = root
        self.sounds = _items(root / "sounds.jsonl", free_only)
        self.pictures = _items(root / "pictures.jsonl", free_only)
        self._shards: dict[str, dict[str, bytes]] = {}
        self._loading = threading.Lock()

    def read(self, item: Item) -> bytes:
        try:
            return self._members(item.shard)[item.key]
        except KeyError as cause:
            raise BadSample(f"{item.key} is not in {item.shard}", "missing") from cause

    def _members(self, shard: str) -> dict[str, bytes]:
        with self._loading:  # once, however many threads ask
            if shard not in self._shards:
                with tarfile.open(self.root / shard) as tar:
                    members = {Path(m.name).stem: tar.extractfile(m).read() for m in tar if m.isfile()}
                self._shards[shard] = members
            return self._shards[shard]


def _items(path: Path, free_only: bool) -> list[Item]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [row for row in rows if row["free"] or not free_only]
    return [
        Item(
            row["key"], row["shard"], row["source"], str(row.get("source_id", row["original_label"])), row["licence"],
            row["free"], row["split"], row["concept"], tuple(row["audioset"]),
        )
        for row in kept
    ]  # fmt: skip


class Skips:
    """Bad samples counted by reason, from any thread."""

    def __init__(self):
        self.reasons: Counter[str] = Counter()
        self.first: BadSample | None = None
        self._counting = threading.Lock()

    def add(self, bad: BadSample) -> None:
        with self._counting:
            self.reasons[bad.reason] += 1
            self.first = self.first or bad

    def __len__(self) -> int:
        return self.reasons.total()

    def __str__(self) -> str:
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common())
        return f"skipped {len(self)} bad samples, first: {self.first} ({reasons})"


def skipping(items: Iterable[Item], load: Callable[[Item], T], workers: int = 2) -> Iterator[tuple[Item, T]]:
    """Loads in threads, in order; bad samples are skipped and counted on stderr, never replaced."""

    def attempt(item: Item) -> tuple[Item, T | BadSample]:
        try:
            return item, load(item)
        except BadSample as bad:
            return item, bad

    skips = Skips()
    try:
        with ThreadPoolExecutor(workers) as pool:
            window: deque = deque()
            for item in items:
                window.append(pool.submit(attempt, item))
                if len(window) >= 8 * workers:
                    yield from _good(window.popleft().result(), skips)
            for future in window:
                yield from _good(future.result(), skips)
    finally:
        if len(skips):
            print(skips, file=sys.stderr)


def _good(loaded, skips: Skips):
    if isinstance(loaded[1], BadSample):
        skips.add(loaded[1])
    else:
        yield loaded


def label_vector(item: Item) -> np.ndarray:
    """Multi-hot AudioSet classes.                                                        [527]"""
    column = column_of_mid()
    vector = np.zeros(CLASSES, np.float32)
    vector[[column[mid] for mid in item.audioset if mid in column]] = 1.0
    return vector


class WeakPairs:
    """Endless pairs: concepts drawn evenly (thin ones seldom), then a sound and a picture of the concept."""

    def __init__(self, sounds: list[Item], pictures: list[Item], seed: int = 0):
        self.random = np.random.default_rng(seed)
        self.sounds, self.pictures = by_concept(sounds), by_concept(pictures)
        self.concepts = sorted(self.sounds.keys() & self.pictures.keys())
        if not self.concepts:
            raise ValueError(
                "Expected at least one concept with sounds and pictures, got none: is the filter too strict?"
            )
        weight = np.array([self.weight(c) for c in self.concepts])
        self.probability = weight / weight.sum()

    def weight(self, concept: str) -> float:
        """1, less where fewer than 20 sounds or pictures stand for the concept."""
        return min(1.0, min(len(self.sounds[concept]), len(self.pictures[concept])) / 20)

    def draw(self, random: np.random.Generator | None = None) -> tuple[Item, Item, int]:
        """A sound, a picture and the concept's number; by the stream of the pairs' own seed where none is given."""
        random = self.random if random is None else random
        number = random.choice(len(self.concepts), p=self.probability)
        concept = self.concepts[number]
        sounds, pictures = self.sounds[concept], self.pictures[concept]
        return sounds[random.integers(len(sounds))], pictures[random.integers(len(pictures))], int(number)


def by_concept(items: list[Item]) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        if item.concept:
            groups.setdefault(item.concept, []).append(item)
    return groups
