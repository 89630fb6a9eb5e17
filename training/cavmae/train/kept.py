"""What does not change from epoch to epoch, made once: a pack's spectrograms, and its pictures at the model's size.

Without it a CPU spends most of a small model's step on decoding and on the filterbank.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from ..data.pack import Item, Pack, label_vector
from ..data.sources import Sample, WeakPairSource, segment_shape
from ..media.decode import decode_picture, decode_sound
from ..model.config import CavMaeConfig
from .task import FrontEnds


class KeptRows:
    """Arrays of one shape by key, in a file that is filled as they are asked for. Processes may share it."""

    def __init__(self, path: Path, keys: list[str], shape: tuple[int, ...], dtype: type):
        self.number = {key: number for number, key in enumerate(keys)}
        self.rows = _mapped(path, (len(keys), *shape), dtype)
        self.made = _mapped(path.with_suffix(".made"), (len(keys),), np.bool_)

    def get(self, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        number = self.number[key]
        if not self.made[number]:
            self.rows[number] = make()
            self.made[number] = True
        return self.rows[number]


class KeptPairs(WeakPairSource):
    """The same pairs with the spectrogram in place of the sound, in half precision."""

    def __init__(self, pack: Pack, config: CavMaeConfig, folder: Path, batch: int, seed: int):
        super().__init__(pack, segment_shape(config, config.windows), batch, seed)
        self.frontend = FrontEnds(config).audio
        keys = [[item.key for item in items] for items in (pack.sounds, pack.pictures)]
        made_of = json.dumps([asdict(self.shape), config.audio_stem, config.rows, keys])
        folder = folder / hashlib.sha1(made_of.encode()).hexdigest()[:12]
        self.spectrograms = KeptRows(folder / "sounds", keys[0], (config.rows, config.mel_bins), np.float16)
        size = (self.shape.height, self.shape.width, 3)
        self.pictures = KeptRows(folder / "pictures", keys[1], size, np.uint8)

    def _load(self, drawn: tuple[Item, Item, int]) -> Sample:
        heard, seen, concept = drawn
        spectrogram = self.spectrograms.get(heard.key, lambda: self._spectrogram(heard))
        picture = self.pictures.get(seen.key, lambda: self._picture(seen))
        frames = np.repeat(picture[None], self.shape.frames, axis=0)
        return Sample(None, frames, label_vector(heard), concept, spectrogram)

    @torch.inference_mode()
    def _spectrogram(self, item: Item) -> np.ndarray:
        shape = self.shape
        sound = decode_sound(self.pack.read(item), shape.sample_rate, shape.seconds, shape.channels)[: shape.samples]
        samples = np.pad(sound, (0, shape.samples - len(sound)))
        return self.frontend(torch.from_numpy(samples)[None], torch.tensor([len(sound)]))[0].numpy()

    def _picture(self, item: Item) -> np.ndarray:
        return decode_picture(self.pack.read(item), (self.shape.height, self.shape.width), self.shape.resize)


def _mapped(path: Path, shape: tuple[int, ...], dtype: type) -> np.memmap:
    """Zeros where nothing was written yet; what stands there stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT), "r+b") as file:
        file.truncate(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        return np.memmap(file, dtype, "r+", shape=shape)
