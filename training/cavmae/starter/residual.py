"""Residuals of the starter: small networks beside the bridge, trained on cached features, both stems and bridge frozen.

Five losses. *label*: a sound (a picture) lies where the bridge would put its true labels. *named*: a sound and the
pictures that the map of names gives its labels. *concept*: weak pairs. *prototype*: pseudo-features of each class, so
that what has no free sample keeps its place. *keep*: nothing strays far from the bridge.

The audio residual acts as far as its reach: a sound unlike all that it learnt from is left to the bridge.
"""

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.pack import Item, WeakPairs, label_vector
from ..model.heads import Bridge, Reach, Residual
from ..model.stems import EfficientNetLite, Mn04
from ..schedule import warm_cosine
from .features import Features

STRONG = 0.3  # weight of the map from which a picture counts as one of a class


@dataclass(frozen=True)
class ResidualOptions:
    seeds: int = 3  # residuals, merged into one; 0 leaves the bridge alone
    hidden: int = 384
    dropout: float = 0.25
    steps: int = 300
    warmup: int = 30
    lr: float = 8e-4
    weight_decay: float = 0.05
    scale: float = 12.0  # start of the learned scale of similarities
    items: int = 160  # of each loss, a step
    label_strength: float = 0.6  # score of a true label
    label_audio: float = 1.0  # weights of the losses
    label_visual: float = 0.3
    named: float = 0.5
    concept: float = 0.5
    prototype: float = 0.3
    keep_audio: float = 1.0
    keep_visual: float = 2.0
    reach: float = 0.95  # share of the sounds learnt from that are within
    reach_axes: int = 128
    audio_share: float = 1.3  # of the residual that ships: free sounds cover most concepts, free pictures few,
    visual_share: float = 0.4  # and all of the visual one costs real videos more than it gives
    pseudo_sounds: int = 4  # for each AudioSet class
    pseudo_pictures: int = 3  # for each ImageNet class


@dataclass(frozen=True)
class Points:
    """Pooled features with the bridge's direction of each."""

    pool: Tensor  # [n, C]
    z: Tensor  # [n, D]
    reach: Tensor  # [n, 1]

    def at(self, rows: Tensor) -> "Points":
        return Points(self.pool[rows], self.z[rows], self.reach[rows])


@dataclass(frozen=True)
class Side:
    """One modality: real items, pseudo ones, and where the true labels of the real ones lie."""

    items: list[Item]
    real: Points
    pseudo: Points
    pseudo_class: Tensor  # [n pseudo]: of AudioSet for sounds, of ImageNet for pictures
    named_at: Tensor  # [n, D]
    labels: Tensor  # [n, 527]

    @cached_property
    def row(self) -> dict[str, int]:
        return {item.key: i for i, item in enumerate(self.items)}

    def rows(self, items: list[Item]) -> Tensor:
        return torch.tensor([self.row[item.key] for item in items])

    def residual(self, options: ResidualOptions) -> Residual:
        mean, std = self.real.pool.mean(0), self.real.pool.std(0) + 1e-3
        return Residual(mean, std, options.hidden, self.real.z.shape[1], options.dropout)


def sound_side(
    sounds: Features, pool: Tensor, net: Mn04, bridge: Bridge, reach: Reach, options: ResidualOptions
) -> Side:
    """`pool`: of pseudo_sounds."""
    pseudo = Points(pool, bridge.project(pseudo_scores(pool, net)), reach(pool))
    real = Points(sounds.pool, bridge.project(sounds.logits.sigmoid()), reach(sounds.pool))
    return _side(sounds, real, pseudo, torch.arange(527).repeat(options.pseudo_sounds), bridge, options)


def picture_side(
    pictures: Features, net: EfficientNetLite, bridge: Bridge, table: Tensor, options: ResidualOptions
) -> Side:
    classes = torch.arange(1000).repeat(options.pseudo_pictures)
    pool = pseudo_pictures(pictures, net, classes, torch.Generator().manual_seed(0))
    with torch.no_grad():
        pseudo = _everywhere(pool, bridge.project(net.classifier(pool).softmax(-1) @ table))
    real = _everywhere(pictures.pool, bridge.project(pictures.logits.softmax(-1) @ table))
    return _side(pictures, real, pseudo, classes, bridge, options)


def _everywhere(pool: Tensor, z: Tensor) -> Points:
    return Points(pool, z, torch.ones(len(pool), 1))


def _side(features: Features, real: Points, pseudo: Points, classes: Tensor, bridge: Bridge, options) -> Side:
    labels = torch.stack([torch.from_numpy(label_vector(item)) for item in features.items])
    return Side(features.items, real, pseudo, classes, bridge.project(options.label_strength * labels), labels)


class Trainer:
    """Trains pairs of residuals, one pair a seed."""

    def __init__(self, audio: Side, visual: Side, table: Tensor, options: ResidualOptions):
        self.audio, self.visual, self.table, self.options = audio, visual, table, options
        self.strong = table * (table >= STRONG)  # [1000, 527]
        self.labelled = torch.nonzero(visual.labels.sum(1) > 0)[:, 0]
        # What a sound may be named by: every pseudo-picture, and the labelled real ones.
        self.bank = _joined(visual.pseudo, visual.real.at(self.labelled))
        named = torch.cat([self.strong[visual.pseudo_class], visual.labels[self.labelled]])
        rarity = 1 / (1 + (self.strong > 0).sum(0)).sqrt()  # [527]
        self.relevance = (audio.labels * rarity) @ named.T  # [n sounds, bank]
        halves = self.relevance.split([len(visual.pseudo_class), len(self.labelled)], dim=1)
        self.draw_named = torch.cat([half / half.sum(1, keepdim=True).clamp_min(1e-6) for half in halves], dim=1)
        self.draw_sound = _evenly(audio.items) * (self.draw_named.sum(1) > 0)

    def run(self, seed: int) -> tuple[Residual, Residual, dict]:
        o = self.options
        torch.manual_seed(seed)
        pairs = WeakPairs(self.audio.items, self.visual.items, seed)
        audio, visual = self.audio.residual(o), self.visual.residual(o)
        log_scale = nn.Parameter(torch.tensor(math.log(o.scale)))
        weights = [*audio.parameters(), *visual.parameters()]
        groups = [{"params": weights, "weight_decay": o.weight_decay}, {"params": [log_scale], "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=o.lr)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_cosine(step, o.warmup, o.steps))
        history: dict[str, float] = {}
        for step in range(o.steps):
            terms = self.losses(audio, visual, log_scale.exp(), pairs)
            optimizer.zero_grad()
            sum(getattr(o, name) * term for name, term in terms.items()).backward()
            optimizer.step()
            schedule.step()
            if step in (0, o.steps - 1):
                history |= {f"{name}@{step}": round(value.item(), 4) for name, value in terms.items()}
        return audio.eval(), visual.eval(), {"seed": seed, **history}

    def losses(self, audio: Residual, visual: Residual, scale: Tensor, pairs: WeakPairs) -> dict[str, Tensor]:
        """Each named as its weight in the options."""
        count = self.options.items
        sounds = torch.multinomial(self.draw_sound, count, replacement=True)
        heard, real = embed(audio, self.audio.real.at(sounds)), self.visual.real
        labelled = self.labelled[torch.randint(len(self.labelled), (count,))]
        any_picture = torch.randint(len(real.z), (count,))
        return {
            "label_audio": _apart(heard, self.audio.named_at[sounds]),
            "label_visual": _apart(embed(visual, real.at(labelled)), self.visual.named_at[labelled]),
            "named": self.named(visual, heard, sounds, scale),
            "concept": self.concept(audio, visual, scale, pairs),
            "prototype": self.prototype(audio, visual, scale),
            "keep_audio": _apart(heard, self.audio.real.z[sounds]),
            "keep_visual": _apart(embed(visual, real.at(any_picture)), real.z[any_picture]),
        }

    def named(self, visual: Residual, heard: Tensor, sounds: Tensor, scale: Tensor) -> Tensor:
        chosen = torch.multinomial(self.draw_named[sounds], 1)[:, 0]
        relevant = self.relevance[sounds][:, chosen]
        return soft_contrast(heard, embed(visual, self.bank.at(chosen)), scale, _shares(relevant), _shares(relevant.T))

    def concept(self, audio: Residual, visual: Residual, scale: Tensor, pairs: WeakPairs) -> Tensor:
        sounds, pictures, concepts = zip(*(pairs.draw() for _ in range(self.options.items)), strict=True)
        heard = embed(audio, self.audio.real.at(self.audio.rows(sounds)))
        seen = embed(visual, self.visual.real.at(self.visual.rows(pictures)))
        same = _same(torch.tensor(concepts))
        return soft_contrast(heard, seen, scale, same, same)

    def prototype(self, audio: Residual, visual: Residual, scale: Tensor) -> Tensor:
        """Pseudo-sounds and pseudo-pictures by class; targets half the class, half what the bridge says."""
        classes = torch.nonzero(self.strong.sum(0) > 0)[:, 0]
        classes = classes[torch.randint(len(classes), (self.options.items,))]
        sounds = classes + 527 * torch.randint(self.options.pseudo_sounds, (len(classes),))
        seen = torch.multinomial(self.strong[:, classes].T, 1)[:, 0]
        pictures = seen + 1000 * torch.randint(self.options.pseudo_pictures, (len(classes),))
        heard, pictured = self.audio.pseudo.at(sounds), self.visual.pseudo.at(pictures)
        near, same = heard.z @ pictured.z.T / 0.1, _same(classes)
        target, back = 0.5 * same + 0.5 * near.softmax(-1), 0.5 * same + 0.5 * near.T.softmax(-1)
        return soft_contrast(embed(audio, heard), embed(visual, pictured), scale, target, back)


def embed(residual: Residual, points: Points) -> Tensor:
    return F.normalize(points.z + points.reach * residual.plain(points.pool), dim=-1)


def soft_contrast(e_a: Tensor, e_v: Tensor, scale: Tensor, target: Tensor, back: Tensor) -> Tensor:
    """Cross-entropy both ways against soft targets over the batch."""
    similarity = scale * e_a @ e_v.T
    return 0.5 * (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, back))


def _apart(embedding: Tensor, target: Tensor) -> Tensor:
    return (1 - (embedding * target).sum(1)).mean()


def _shares(relevant: Tensor) -> Tensor:
    return relevant / relevant.sum(1, keepdim=True).clamp_min(1e-6)


def _same(groups: Tensor) -> Tensor:
    return _shares((groups[:, None] == groups[None]).float())


def _joined(first: Points, second: Points) -> Points:
    parts = zip((first.pool, first.z, first.reach), (second.pool, second.z, second.reach), strict=True)
    return Points(*(torch.cat(pair) for pair in parts))


def _evenly(items: list[Item]) -> Tensor:
    """A weight for each item so that every set of labels is drawn as often."""
    count = Counter(item.audioset for item in items)
    return torch.tensor([1 / count[item.audioset] for item in items])


def pseudo_sounds(sounds: Features, net: Mn04, each: int, steps: int = 150) -> Tensor:
    """Likely features of sounds of each class, found by gradient in the pool's 128 principal directions.

    Class c's logit is pulled to 0..2.5 under a Gaussian penalty.                         [527 * each, 384]
    """
    mean = sounds.pool.mean(0)
    _, spread, directions = torch.linalg.svd(sounds.pool - mean, full_matrices=False)
    axes = directions[:128] * (spread[:128, None] / math.sqrt(len(sounds.pool)))  # unit variance each
    random = torch.Generator().manual_seed(0)
    classes = torch.arange(527).repeat(each)
    target = 2.5 * torch.rand(len(classes), generator=random)
    place = (0.5 * torch.randn(len(classes), len(axes), generator=random)).requires_grad_()
    optimizer = torch.optim.Adam([place], lr=0.1)
    for _ in range(steps):
        logit = net.classifier(mean + place @ axes).gather(1, classes[:, None])[:, 0]
        loss = ((logit - target) ** 2 + 0.01 * place.square().sum(1)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (mean + place @ axes).detach()


def pseudo_scores(pseudo: Tensor, net: Mn04) -> Tensor:
    with torch.no_grad():
        return net.classifier(pseudo).sigmoid()


def pseudo_pictures(pictures: Features, net: EfficientNetLite, classes: Tensor, random: torch.Generator) -> Tensor:
    """Mean + a Sigma w_c / sqrt(w_c' Sigma w_c), a in 3..6, + .8 of a real residual, clipped to 0..6.    [n, 1280]"""
    mean = pictures.pool.mean(0)
    centred = pictures.pool - mean
    weights = net.classifier.weight.detach()  # [1000, 1280]
    projected = centred @ weights.T  # [n, 1000]
    directions = (projected.T @ centred / len(centred)) / projected.square().mean(0).sqrt()[:, None]
    strength = 3 + 3 * torch.rand(len(classes), 1, generator=random)
    noise = centred[torch.randint(len(centred), (len(classes),), generator=random)]
    return (mean + strength * directions[classes] + 0.8 * noise).clamp(0, 6)
