"""Real segments to judge a bundle on, from a folder of clips or from a pack."""

import random
from pathlib import Path

import numpy as np

from ..data.clips import list_folder
from ..data.pack import Pack, skipping
from ..media.decode import decode_frames, decode_picture, decode_sound, pad
from ..media.shape import SegmentShape
from .answers import Segments

MOST = 48  # segments


def real_segments(source: Path, shape: SegmentShape) -> Segments:
    """A sound and a frame of each clip that has both; of a pack, sounds and pictures by lot."""
    sounds, frames = _of_pack(source, shape) if (source / "sounds.jsonl").exists() else _of_clips(source, shape)
    count = min(len(sounds), len(frames))
    if not count:
        raise ValueError(f"Expected clips with sound and picture, or a pack, in {source}, got none")
    lengths = np.array([len(sound) for sound in sounds[:count]], np.int64)
    samples = np.stack([pad(sound, shape.samples) for sound in sounds[:count]])
    return Segments(samples, lengths, np.stack(frames[:count]))


def _of_clips(folder: Path, shape: SegmentShape) -> tuple[list, list]:
    def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
        frames = decode_frames(path, 1, shape.seconds, (shape.height, shape.width), shape.resize)
        return decode_sound(path, shape.sample_rate, shape.seconds, shape.channels), frames[0]

    loaded = [pair for _, pair in skipping(_chosen([clip.path for clip in list_folder(folder).clips]), load)]
    return [sound for sound, _ in loaded], [frame for _, frame in loaded]


def _of_pack(folder: Path, shape: SegmentShape) -> tuple[list, list]:
    pack, size = Pack(folder), (shape.height, shape.width)
    sounds = skipping(
        _chosen(pack.sounds),
        lambda item: decode_sound(pack.read(item), shape.sample_rate, shape.seconds, shape.channels),
    )
    pictures = skipping(_chosen(pack.pictures), lambda item: decode_picture(pack.read(item), size, shape.resize))
    return [sound for _, sound in sounds], [picture for _, picture in pictures]


def _chosen(items: list) -> list:
    return random.Random(0).sample(items, min(MOST, len(items)))
