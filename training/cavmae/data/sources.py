"""Batches for training, each a function of (seed, step, row) alone: resuming needs no state, and ranks no talk."""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..media.decode import BadSample, decode_picture, decode_sound
from ..media.shape import SegmentShape
from ..model.config import CavMaeConfig
from ..model.frontend import FbankParams, LogMelParams
from .audioset import CLASSES, audioset_labels
from .pack import Item, Pack, Skips, WeakPairs, label_vector
from .shards import Shards

T = TypeVar("T")
MOST_DRAWS = 100  # bad samples in a row before a source is given up


@dataclass(frozen=True)
class Sample:
    """One segment."""

    sound: np.ndarray | None  # [n] float32, n <= samples; None without sound
    frames: np.ndarray | None  # uint8 [F, H, W, 3]; None without picture
    labels: np.ndarray  # [C] multi-hot
    group: int = -1  # as in Batch
    fbank: np.ndarray | None = None  # [time, mel] in place of a sound


@dataclass(frozen=True)
class Batch:
    samples: Tensor  # [B, T] float32, zeros behind `lengths`
    lengths: Tensor  # [B] int64; 0 where a clip has no sound
    frames: Tensor  # uint8 [B, F, H, W, 3], in order of time
    seen: Tensor  # bool [B]; False where a clip has no picture
    labels: Tensor  # [B, C] float32 multi-hot; a row of zeros where nothing is labelled
    groups: Tensor  # [B] int64; rows of one group belong together, -1 = with no other row
    fbank: Tensor | None = None  # [B, time, mel] float32 in place of samples: what the front end makes of them


class Source(Protocol):
    """Endless batches of one global size."""

    labels: list[dict] | None  # classes of the columns of Batch.labels; None without labels
    skips: Skips  # bad samples that other draws stood in for

    def batch(self, step: int, rows: slice) -> Batch:
        """Rows of the global batch number `step`: the same whenever and wherever they are asked for."""
        ...


def segment_shape(config: CavMaeConfig, frames: int = 1) -> SegmentShape:
    """What the stems of a CAV-MAE take."""
    if config.audio_stem == "mn04":
        sound = (LogMelParams().sample_rate, LogMelParams().samples, "mean")
    else:
        sound = (FbankParams().sample_rate, round(config.seconds * FbankParams().sample_rate), "first")
    return SegmentShape(*sound, config.image, config.image, "cover", frames)


class WeakPairSource:
    """Weak pairs of a pack. Its pictures are stills, so each stands for every moment of its sound."""

    def __init__(self, pack: Pack, shape: SegmentShape, batch: int, seed: int, split: str = "train"):
        sounds, pictures = ([item for item in items if item.split == split] for items in (pack.sounds, pack.pictures))
        self.pack, self.shape, self.size, self.seed = pack, shape, batch, seed
        self.pairs = WeakPairs(sounds, pictures)
        self.labels, self.skips = audioset_labels(), Skips()

    def batch(self, step: int, rows: slice) -> Batch:
        return collate([self._row(step, row) for row in range(self.size)[rows]], self.shape, CLASSES)

    def _row(self, step: int, row: int) -> Sample:
        random = row_random(self.seed, step, row)
        draws = (self.pairs.draw(random) for _ in range(MOST_DRAWS))
        return first_good(draws, self._load, self.skips)

    def _load(self, drawn: tuple[Item, Item, int]) -> Sample:
        heard, seen, concept = drawn
        shape = self.shape
        sound = decode_sound(self.pack.read(heard), shape.sample_rate, shape.seconds, shape.channels)
        picture = decode_picture(self.pack.read(seen), (shape.height, shape.width), shape.resize)
        return Sample(sound, np.repeat(picture[None], shape.frames, axis=0), label_vector(heard), concept)


class ShardSource:
    """Samples of a folder that `prepare` made: each once an epoch, or balanced by label with replacement (SPEC 8).

    `needs` names the modalities without which a sample is not drawn. Where the shape has fewer frames than are stored,
    one is drawn from each of as many equal parts.
    """

    def __init__(
        self, folder: Path, shape: SegmentShape, batch: int, seed: int, split: str | None = None,
        *, needs: tuple[str, ...] = ("audio", "visual"), balanced: bool = False, val_share: float = 0.05,
    ):  # fmt: skip
        self.shards, self.shape, self.size, self.seed = Shards(folder), shape, batch, seed
        refuse_other_shape(self.shards.spec.shape, shape)
        self.labels, self.skips = self.shards.spec.classes, Skips()
        self.numbers = self._usable(split, needs, val_share)
        self._cumulative = self._balance() if balanced else None
        self._shuffled = functools.lru_cache(maxsize=2)(self._shuffle)  # two: batches cross from epoch to epoch

    def __len__(self) -> int:
        """Samples of an epoch."""
        return len(self.numbers)

    def batch(self, step: int, rows: slice) -> Batch:
        classes = len(self.labels or ())
        return collate([self._row(step, row) for row in range(self.size)[rows]], self.shape, classes)

    def _row(self, step: int, row: int) -> Sample:
        random = row_random(self.seed, step, row)
        draws = islice(self._draws(step, row, random), MOST_DRAWS)
        return first_good(draws, lambda number: self._load(number, random), self.skips)

    def _draws(self, step: int, row: int, random: np.random.Generator) -> Iterator[int]:
        if self._cumulative is None:
            epoch, place = divmod(step * self.size + row, len(self))
            yield self.numbers[self._shuffled(epoch)[place]]
            while True:
                yield self.numbers[random.integers(len(self))]
        while True:
            drawn = np.searchsorted(self._cumulative, random.random() * self._cumulative[-1], "right")
            yield self.numbers[drawn]

    def _load(self, number: int, random: np.random.Generator) -> Sample:
        stored, shape = self.shards.read(number), self.shape
        sound = stored.sound and decode_sound(stored.sound, shape.sample_rate, shape.seconds, shape.channels)
        frames = self._frames(stored.frames, random) if stored.frames else None
        return Sample(sound, frames, self.shards.label_vector(number))

    def _frames(self, stored: list[bytes], random: np.random.Generator) -> np.ndarray:
        count, size = self.shape.frames, (self.shape.height, self.shape.width)
        drawn = ((np.arange(count) + random.random(count)) * len(stored) / count).astype(int)
        return np.stack([decode_picture(stored[number], size, self.shape.resize) for number in drawn])

    def _usable(self, split: str | None, needs: tuple[str, ...], val_share: float) -> np.ndarray:
        has = {"audio": self.shards.heard, "visual": self.shards.seen}
        usable = np.logical_and.reduce([self.shards.split(split, val_share), *(has[name] for name in needs)])
        if not usable.any():
            raise ValueError(
                f"Expected samples with {' and '.join(needs)} in split {split} of {self.shards.folder}, got none of "
                f"{len(self.shards)}"
            )
        return np.flatnonzero(usable)

    def _balance(self) -> np.ndarray:
        weights = self.shards.balancing_weights()[self.numbers]
        if not weights.any():
            raise ValueError(f"Expected labels to balance by in {self.shards.folder}, got none")
        return weights.cumsum()

    def _shuffle(self, epoch: int) -> np.ndarray:
        return np.random.default_rng((self.seed, epoch)).permutation(len(self))


def refuse_other_shape(stored: SegmentShape, wanted: SegmentShape) -> None:
    def kind(shape: SegmentShape) -> tuple:
        return shape.channels, shape.resize, round(shape.seconds, 3)

    amounts = ("sample_rate", "height", "width", "frames")
    if kind(stored) != kind(wanted) or any(getattr(stored, name) < getattr(wanted, name) for name in amounts):
        raise ValueError(
            f"Expected shards of the same seconds, channels and resize as {wanted}, and of no lower "
            f"{', '.join(amounts)}, got {stored}: prepare them again"
        )


def row_random(seed: int, step: int, row: int) -> np.random.Generator:
    """The random stream of one row of one global batch."""
    return np.random.default_rng((seed, step, row))


def first_good(draws: Iterable[T], load: Callable[[T], Sample], skips: Skips) -> Sample:
    """The first draw that can be read; those before it are counted."""
    bad = None
    for drawn in draws:
        try:
            return load(drawn)
        except BadSample as cause:
            skips.add(bad := cause)
    raise ValueError(f"Expected a sample that can be read, got {MOST_DRAWS} bad ones in a row; {skips}") from bad


def collate(rows: list[Sample], shape: SegmentShape, classes: int) -> Batch:
    batch = Batch(
        torch.zeros(len(rows), shape.samples),
        torch.zeros(len(rows), dtype=torch.int64),
        torch.zeros(len(rows), shape.frames, shape.height, shape.width, 3, dtype=torch.uint8),
        torch.zeros(len(rows), dtype=torch.bool),
        torch.zeros(len(rows), classes),
        torch.tensor([row.group for row in rows]),
        None if rows[0].fbank is None else torch.from_numpy(np.stack([row.fbank for row in rows])).float(),
    )
    for i, row in enumerate(rows):
        batch.labels[i] = torch.from_numpy(row.labels)
        if row.sound is not None:
            sound = row.sound[: shape.samples]
            batch.samples[i, : len(sound)] = torch.from_numpy(sound.copy())
            batch.lengths[i] = len(sound)
        if row.frames is not None:
            batch.frames[i] = torch.from_numpy(row.frames)
            batch.seen[i] = True
    return batch


def prefetch(source: Source, steps: Iterable[int], rows: slice, workers: int = 2) -> Iterator[Batch]:
    """The batches of `steps` in order, read ahead in threads by at most two a worker."""
    with ThreadPoolExecutor(workers) as pool:
        window: deque = deque()
        try:
            for step in steps:
                window.append(pool.submit(source.batch, step, rows))
                if len(window) >= 2 * workers:
                    yield window.popleft().result()
            while window:
                yield window.popleft().result()
        finally:
            for future in window:
                future.cancel()
