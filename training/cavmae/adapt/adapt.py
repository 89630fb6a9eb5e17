"""A bundle fitted to one's own library: residuals from zero, taught by the library's own sound-picture pairs.

Only what the bundle's graphs already say of a segment is learnt from, so that a CPU needs minutes; measured before and
after on recordings held out, and refused where it does not gain.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..bundles.bundle import Encoder
from ..data.pack import Skips
from ..data.shards import Shards
from ..data.sources import refuse_other_shape
from ..evaluate.metrics import Metric, bootstrapped, measured, recall, reciprocal, resamples, strict_ranks
from ..media.decode import decode_picture, decode_sound
from ..media.ffmpeg import BadSample
from ..model.heads import Residual
from ..schedule import warm_cosine

WAYS = ("sound→picture", "picture→sound")


@dataclass(frozen=True)
class AdaptOptions:
    hidden: int = 256
    dropout: float = 0.2
    steps: int = 400
    warmup: int = 30
    batch: int = 256  # pairs, at most one of a recording
    lr: float = 5e-4
    weight_decay: float = 0.05
    scale: float = 12.0  # start of the learned scale of similarities
    keep: float = 1.0  # weight of staying near the bundle's own embeddings
    held_out: float = 0.25  # share of the recordings that only measure
    least: int = 40  # pairs held out, and recordings to learn from, below which nothing is tried
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True)
class Sounds:
    """What the audio graph says of segments."""

    features: Tensor  # [n, C], the residual's input
    z: Tensor  # [n, D], the embedding before its norm


@dataclass(frozen=True)
class Pictures:
    """What the visual graph says of segments' frames."""

    features: Tensor  # [n, F, C]
    z: Tensor  # [n, F, D]


@dataclass(frozen=True)
class Library:
    sounds: Sounds
    pictures: Pictures
    recordings: np.ndarray  # [n]
    skips: Skips

    def at(self, rows: np.ndarray) -> tuple[Sounds, Pictures]:
        a, v = self.sounds, self.pictures
        return Sounds(a.features[rows], a.z[rows]), Pictures(v.features[rows], v.z[rows])


@dataclass(frozen=True)
class Adapted:
    audio: Residual
    visual: Residual
    before: list[Metric]
    after: list[Metric]
    gain: Metric  # of the mean reciprocal rank, paired
    learnt: int  # recordings

    @property
    def gains(self) -> bool:
        return self.gain.interval[0] > 0


def adapt(library: Library, options: AdaptOptions) -> Adapted:
    """Learns from some recordings, measures on the others."""
    torch.set_num_threads(options.threads)
    learning, held = split(library.recordings, options)
    audio, visual = learn(*library.at(learning), library.recordings[learning], options)
    untouched = Residual(audio.mean, 1 / audio.scale, 1, audio.fc2.out_features).zero_()
    unseen = Residual(visual.mean, 1 / visual.scale, 1, visual.fc2.out_features).zero_()
    sounds, pictures = library.at(held)
    before, after = ranks(sounds, pictures, untouched, unseen), ranks(sounds, pictures, audio, visual)
    data = f"{len(held)} segments of {len(np.unique(library.recordings[held]))} recordings held out"
    gain = paired_gain(before, after, data)
    return Adapted(
        audio, visual, _metrics(before, data), _metrics(after, data), gain, len(np.unique(library.recordings[learning]))
    )


def read_library(shards: Shards, encoder: Encoder) -> Library:
    """Runs the bundle's graphs over every segment that has both sound and picture."""
    refuse_other_shape(shards.spec.shape, encoder.shape)
    skips, rows = Skips(), []
    for number in np.flatnonzero(shards.heard & shards.seen):
        try:
            rows.append(_said(shards, int(number), encoder))
        except BadSample as bad:
            skips.add(bad)
    if not rows:
        raise ValueError(f"Expected segments with sound and picture in {shards.folder}, got none")
    heard, heard_z, seen, seen_z, recordings = zip(*rows, strict=True)
    stack = lambda parts: torch.from_numpy(np.stack(parts))  # noqa: E731
    sounds, pictures = Sounds(stack(heard), stack(heard_z)), Pictures(stack(seen), stack(seen_z))
    return Library(sounds, pictures, np.array(recordings), skips)


def _said(shards: Shards, number: int, encoder: Encoder) -> tuple:
    stored, shape = shards.read(number), encoder.shape
    sound = decode_sound(stored.sound, shape.sample_rate, shape.seconds, shape.channels)
    frames = [decode_picture(frame, (shape.height, shape.width), shape.resize) for frame in stored.frames]
    frames = frames * -(-shape.frames // len(frames))  # a still stands for every moment
    (heard,), (heard_z,) = said(encoder, "audio", encoder.sound_feeds([sound]))
    seen, seen_z = said(encoder, "visual", encoder.frame_feeds(frames[: shape.frames]))
    return heard, heard_z, seen, seen_z, stored.facts["recording"]


def said(encoder: Encoder, graph: str, feeds: Iterator[dict]) -> tuple[np.ndarray, np.ndarray]:
    """The residual's input, and the mean of the tokens, which is the embedding before its norm."""
    source = feature_output(encoder, graph)
    features, tokens = encoder.run(graph, [source, "tokens"], feeds)
    return (features.mean(axis=1) if source == "tokens" else features), tokens.mean(axis=1)


def feature_output(encoder: Encoder, graph: str) -> str:
    """The pool before the head says more than the embedding; not every kind of bundle has one."""
    return "pool" if encoder.offers(graph, "pool") else "tokens"


def split(recordings: np.ndarray, options: AdaptOptions) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from, rows to measure on; a recording is on one side."""
    names = np.unique(recordings)
    chosen = np.random.default_rng(options.seed).permutation(names)[: round(options.held_out * len(names))]
    held = np.isin(recordings, chosen)
    if held.sum() < options.least or len(names) - len(chosen) < options.least:
        raise ValueError(
            f"Expected {options.least} segments to measure on and {options.least} recordings to learn from, got "
            f"{held.sum()} and {len(names) - len(chosen)}: give a larger library"
        )
    return np.flatnonzero(~held), np.flatnonzero(held)


def learn(
    sounds: Sounds, pictures: Pictures, recordings: np.ndarray, options: AdaptOptions
) -> tuple[Residual, Residual]:
    """Contrast both ways between segments of different recordings, and near what the bundle said."""
    o = options
    torch.manual_seed(o.seed)
    random = np.random.default_rng(o.seed)
    audio, visual = residual(sounds.features, sounds.z, o), residual(pictures.features.flatten(0, 1), pictures.z, o)
    log_scale = nn.Parameter(torch.tensor(math.log(o.scale)))
    weights = [*audio.parameters(), *visual.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": o.weight_decay}, {"params": [log_scale], "weight_decay": 0.0}], lr=o.lr
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_cosine(step, o.warmup, o.steps))
    for _ in range(o.steps):
        rows = one_of_each(recordings, o.batch, random)
        a, v = Sounds(sounds.features[rows], sounds.z[rows]), Pictures(pictures.features[rows], pictures.z[rows])
        heard, seen = hear(audio, a), watch(visual, v)
        similarity, own = log_scale.exp() * heard @ seen.T, torch.arange(len(rows))
        contrast = 0.5 * (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.T, own))
        kept = (heard * F.normalize(a.z, dim=-1)).sum(1) + (seen * mean_direction(v.z)).sum(1)
        optimizer.zero_grad()
        (contrast + o.keep * (2 - kept).mean()).backward()
        optimizer.step()
        schedule.step()
    return audio.eval(), visual.eval()


def residual(features: Tensor, z: Tensor, options: AdaptOptions) -> Residual:
    """Of the size of the embedding before its norm, zero at the start."""
    made = Residual(features.mean(0), features.std(0) + 1e-3, options.hidden, z.shape[-1], options.dropout)
    return made.zero_()


def one_of_each(recordings: np.ndarray, most: int, random: np.random.Generator) -> np.ndarray:
    """A row of each of `most` recordings: two segments of one would be false negatives."""
    order = random.permutation(len(recordings))
    first = np.unique(recordings[order], return_index=True)[1]
    return order[random.permutation(first)[:most]]


def hear(residual: Residual, sounds: Sounds) -> Tensor:
    return F.normalize(sounds.z + residual.plain(sounds.features), dim=-1)


def watch(residual: Residual, pictures: Pictures) -> Tensor:
    """The product's rule: the mean of the frames' unit embeddings, unit length."""
    return mean_direction(pictures.z + residual.plain(pictures.features))


def mean_direction(z: Tensor) -> Tensor:
    return F.normalize(F.normalize(z, dim=-1).mean(dim=1), dim=-1)


@torch.no_grad()
def ranks(sounds: Sounds, pictures: Pictures, audio: Residual, visual: Residual) -> np.ndarray:
    """Of each segment's own partner, both ways.                                          [2, n]"""
    similarity = (hear(audio, sounds) @ watch(visual, pictures).T).numpy()
    return np.stack([strict_ranks(similarity), strict_ranks(similarity.T)])


def _metrics(ranks: np.ndarray, data: str) -> list[Metric]:
    made = []
    for way, of_way in zip(WAYS, ranks, strict=True):
        for k in (1, 10):
            made.append(bootstrapped(f"R@{k} {way} [%]", of_way, lambda r, k=k: 100 * recall(r, k), data))
        made.append(bootstrapped(f"MRR {way} [%]", of_way, lambda r: 100 * reciprocal(r), data))
    return made


def paired_gain(before: np.ndarray, after: np.ndarray, data: str) -> Metric:
    """Of the mean reciprocal rank of both ways; the same segments are drawn for both."""
    gained = 100 * (1 / after - 1 / before).mean(axis=0)  # [n]
    return measured("MRR gained [%]", gained.mean(), gained[resamples(len(gained))].mean(axis=-1), data)
