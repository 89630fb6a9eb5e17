"""The starter: mn04 and EfficientNet-Lite0, joined by class names (nothing trained), plus a learned residual.

Trained on the free part of the pack only, because the result is published.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .card import ATTRIBUTIONS, starter_attributions, starter_card
from .data import Pack, WeakPairs, audioset_labels, audioset_map
from .export import AudioInput, BundleSpec, Graph, VisualInput, write_bundle
from .features import Features, picture_features, sound_features
from .frontend import LogMel, LogMelParams, lite_pixels
from .heads import CLIP, AudioHead, Bridge, Residual, VisualHead, merge
from .schedule import warm_cosine
from .stems import EfficientNetLite, Mn04, efficientnet_lite, mn04


@dataclass(frozen=True)
class StarterOptions:
    """Numbers of STARTER.md's recipe."""

    dim: int = 256
    size: int = 224  # pixels, the whole frame squashed
    hidden: int = 512
    seeds: int = 0  # residuals, merged into one; 0 leaves the bridge alone, which is what ships (README)
    steps: int = 400
    warmup: int = 30
    lr: float = 5e-4
    weight_decay: float = 0.05
    scale: float = 12.0  # start of the learned scale of similarities
    concept_pairs: int = 216
    prototype_pairs: int = 144
    keep_items: int = 96
    concept_weight: float = 0.5
    prototype_weight: float = 0.5
    keep_weight: float = 1.0
    pseudo_sounds: int = 4  # for each class
    free_only: bool = True


class AudioEncoder(nn.Module):
    """samples [B, T] float32 at 32 kHz, lengths [B] -> embedding [B, D], tokens [B, 128, D], logits [B, 527]."""

    def __init__(self, net: Mn04, head: AudioHead):
        super().__init__()
        self.frontend, self.features, self.head = LogMel(), net.features, head

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.head(self.features(self.frontend(samples, lengths)).flatten(2).transpose(1, 2))


class VisualEncoder(nn.Module):
    """frames uint8 [B, 224, 224, 3] -> embedding [B, D], tokens [B, 49, D], logits [B, 527]."""

    def __init__(self, net: EfficientNetLite, head: VisualHead):
        super().__init__()
        self.frontend, self.features, self.head = lite_pixels(), net.features, head

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.head(self.features(self.frontend(frames)).flatten(2).transpose(1, 2))


@dataclass(frozen=True)
class Starter:
    audio: AudioEncoder
    visual: VisualEncoder
    sounds: Features  # what the bridge's means and the residual were fitted on
    pictures: Features
    history: list[dict]


def build(pack: Pack, teacher: Path, cache: Path, options: StarterOptions = StarterOptions()) -> Starter:
    """Features, bridge, residuals; `pack` may hold more than the training split, the rest is left out."""
    sound_net, picture_net = mn04(teacher), efficientnet_lite(0)
    chosen = [
        [item for item in items if item.split == "train" and (item.free or not options.free_only)]
        for items in (pack.sounds, pack.pictures)
    ]
    sounds = sound_features(pack, chosen[0], sound_net, cache)
    pictures = picture_features(pack, chosen[1], picture_net, options.size, cache)
    table = torch.from_numpy(audioset_map())
    pseudo = pseudo_sounds(sounds, sound_net, options)
    audio_bridge, visual_bridge = bridges(sounds, pictures, pseudo_scores(pseudo, sound_net), table, options)
    trainer = Trainer(sounds, pictures, pseudo, sound_net, picture_net, audio_bridge, visual_bridge, table, options)
    runs = [trainer.run(seed) for seed in range(options.seeds)]
    audio_residual = merge([run[0] for run in runs]).eval() if runs else None
    visual_residual = merge([run[1] for run in runs]).eval() if runs else None
    audio = AudioEncoder(sound_net, AudioHead(sound_net.classifier, audio_bridge, audio_residual))
    visual = VisualEncoder(picture_net, VisualHead(picture_net.classifier, visual_bridge, visual_residual, table))
    return Starter(audio.eval(), visual.eval(), sounds, pictures, [run[2] for run in runs])


def roots(scores: Tensor) -> Tensor:
    return scores.clamp_min(CLIP).sqrt()


def bridges(sounds, pictures, pseudo: Tensor, table: Tensor, options: StarterOptions) -> tuple[Bridge, Bridge]:
    """Means of the roots for each modality; one PCA basis, uncentred, for both."""
    heard, seen = roots(sounds.logits.sigmoid()), roots(pictures.logits.softmax(-1) @ table)  # [n, 527]
    mean_heard, mean_seen = heard.mean(0), seen.mean(0)
    vectors = [heard - mean_heard, seen[::5] - mean_seen, roots(pseudo) - mean_heard, roots(table) - mean_seen]
    units = torch.cat([F.normalize(v, dim=-1) for v in vectors]).double()
    basis = torch.linalg.eigh(units.T @ units).eigenvectors[:, -options.dim :].flip(1).float()  # [527, D]
    return Bridge(mean_heard, basis), Bridge(mean_seen, basis)


def pseudo_sounds(sounds: Features, net: Mn04, options: StarterOptions, steps: int = 150) -> Tensor:
    """Likely features of sounds of each class, found by gradient in the pool's 128 principal directions.

    Class c's logit is pulled to 0..2.5 under a Gaussian penalty.                         [527 * n, 384]
    """
    mean = sounds.pool.mean(0)
    _, spread, directions = torch.linalg.svd(sounds.pool - mean, full_matrices=False)
    axes = directions[:128] * (spread[:128, None] / math.sqrt(len(sounds.pool)))  # unit variance each
    random = torch.Generator().manual_seed(0)
    classes = torch.arange(527).repeat(options.pseudo_sounds)
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


class Trainer:
    """Trains residual pairs on cached features; the bridge and both stems stay as they are."""

    def __init__(self, sounds, pictures, pseudo, sound_net, picture_net, audio_bridge, visual_bridge, table, options):
        self.sounds, self.pictures, self.options = sounds, pictures, options
        self.row_of_sound = {item.key: i for i, item in enumerate(sounds.items)}
        self.row_of_picture = {item.key: i for i, item in enumerate(pictures.items)}
        with torch.no_grad():
            self.heard = sounds.logits.sigmoid()  # [n, 527]
            self.seen = pictures.logits.softmax(-1) @ table
            self.pseudo_sound = pseudo  # [527 * k, 384], class = row % 527
            self.pseudo_sound_z = project(audio_bridge, pseudo_scores(pseudo, sound_net))
            classes = torch.arange(1000).repeat(3)
            self.pseudo_picture = pseudo_pictures(pictures, picture_net, classes, torch.Generator().manual_seed(0))
            posteriors = picture_net.classifier(self.pseudo_picture).softmax(-1) @ table
            self.pseudo_picture_z = project(visual_bridge, posteriors)
            self.sound_z, self.picture_z = project(audio_bridge, self.heard), project(visual_bridge, self.seen)
        # Who stands for class c: rows weighed by what the tagger, the map, or the pictures' scores say of it.
        strong = table * (table >= 0.3)
        self.real_picture_weight = self.seen * (self.seen >= 0.2)  # [n, 527]
        self.real_sound_weight = self.heard * (self.heard >= 0.1)
        self.pseudo_picture_weight = strong.repeat(3, 1)  # [3000, 527]
        self.classes = torch.nonzero(strong.sum(0) > 0)[:, 0]

    def run(self, seed: int) -> tuple[Residual, Residual, dict]:
        o = self.options
        torch.manual_seed(seed)
        pairs = WeakPairs(self.sounds.items, self.pictures.items, seed)
        audio = Residual(self.sounds.pool.mean(0), self.sounds.pool.std(0) + 1e-3, o.hidden, o.dim)
        visual = Residual(self.pictures.pool.mean(0), self.pictures.pool.std(0) + 1e-3, o.hidden, o.dim)
        log_scale = nn.Parameter(torch.tensor(math.log(o.scale)))
        parameters = [p for p in (*audio.parameters(), *visual.parameters())]
        groups = [{"params": parameters, "weight_decay": o.weight_decay}, {"params": [log_scale], "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=o.lr)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_cosine(step, o.warmup, o.steps))
        history: dict[str, float] = {}
        for step in range(o.steps):
            terms = self.losses(audio, visual, log_scale.exp(), pairs)
            loss = (
                o.concept_weight * terms["concept"] + o.prototype_weight * terms["prototype"]
                + o.keep_weight * terms["keep"]
            )  # fmt: skip
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step in (0, o.steps - 1):
                history |= {f"{name}@{step}": round(value.item(), 4) for name, value in terms.items()}
        return audio, visual, {"seed": seed, **history}

    def losses(self, audio: Residual, visual: Residual, scale: Tensor, pairs: WeakPairs) -> dict[str, Tensor]:
        o = self.options
        drawn = [pairs.draw() for _ in range(o.concept_pairs)]
        heard = torch.tensor([self.row_of_sound[sound.key] for sound, _, _ in drawn])
        seen = torch.tensor([self.row_of_picture[picture.key] for _, picture, _ in drawn])
        concept = torch.tensor([number for _, _, number in drawn])
        e_a = embed(audio, self.sounds.pool[heard], self.sound_z[heard])
        e_v = embed(visual, self.pictures.pool[seen], self.picture_z[seen])
        same = (concept[:, None] == concept[None]).float()
        terms = {"concept": soft_contrast(e_a, e_v, scale, same / same.sum(1, keepdim=True))}
        terms["prototype"] = self.prototype_loss(audio, visual, scale)
        keep_a = torch.randint(len(self.sound_z), (o.keep_items,))
        keep_v = torch.randint(len(self.picture_z), (o.keep_items,))
        kept_a = (embed(audio, self.sounds.pool[keep_a], self.sound_z[keep_a]) * self.sound_z[keep_a]).sum(1)
        kept_v = (embed(visual, self.pictures.pool[keep_v], self.picture_z[keep_v]) * self.picture_z[keep_v]).sum(1)
        return terms | {"keep": (1 - kept_a).mean() + (1 - kept_v).mean()}

    def prototype_loss(self, audio: Residual, visual: Residual, scale: Tensor) -> Tensor:
        """Pairs by AudioSet class: half pseudo-features, half real ones where there are any."""
        o = self.options
        classes = self.classes[torch.randint(len(self.classes), (o.prototype_pairs,))]
        pool_a, z_a = self.choose(classes, self.sounds.pool, self.sound_z, self.real_sound_weight, self.some_sound)
        pool_v, z_v = self.choose(
            classes, self.pictures.pool, self.picture_z, self.real_picture_weight, self.some_picture
        )
        same = (classes[:, None] == classes[None]).float()
        with torch.no_grad():
            soft = (z_a @ z_v.T / 0.1).softmax(-1)
            soft_back = (z_v @ z_a.T / 0.1).softmax(-1)
        hard = same / same.sum(1, keepdim=True)
        e_a, e_v = embed(audio, pool_a, z_a), embed(visual, pool_v, z_v)
        return soft_contrast(e_a, e_v, scale, 0.5 * hard + 0.5 * soft, 0.5 * hard + 0.5 * soft_back)

    def choose(self, classes: Tensor, pool: Tensor, z: Tensor, weight: Tensor, pseudo) -> tuple[Tensor, Tensor]:
        made_pool, made_z = pseudo(classes)
        likely = weight[:, classes].T  # [n classes, rows]
        real = (likely.sum(1) > 0) & (torch.rand(len(classes)) < 0.5)
        rows = torch.multinomial(likely + 1e-9, 1)[:, 0]
        return torch.where(real[:, None], pool[rows], made_pool), torch.where(real[:, None], z[rows], made_z)

    def some_sound(self, classes: Tensor) -> tuple[Tensor, Tensor]:
        rows = classes + 527 * torch.randint(self.options.pseudo_sounds, (len(classes),))
        return self.pseudo_sound[rows], self.pseudo_sound_z[rows]

    def some_picture(self, classes: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.multinomial(self.pseudo_picture_weight[:, classes].T, 1)[:, 0]
        return self.pseudo_picture[rows], self.pseudo_picture_z[rows]


def project(bridge: Bridge, scores: Tensor) -> Tensor:
    """The bridge without tangents.                                                       [n, D]"""
    return F.normalize(F.normalize(roots(scores) - bridge.mean, dim=-1) @ bridge.basis, dim=-1)


def embed(residual: Residual, pool: Tensor, z: Tensor) -> Tensor:
    return F.normalize(z + residual.train_step(pool), dim=-1)


def soft_contrast(e_a: Tensor, e_v: Tensor, scale: Tensor, target: Tensor, back: Tensor | None = None) -> Tensor:
    """Cross-entropy both ways against soft targets over the batch."""
    similarity = scale * e_a @ e_v.T
    back = target.T / target.T.sum(1, keepdim=True) if back is None else back
    return 0.5 * (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, back))


_RESIDUAL = """\
- **Residual**: {seeds} small networks a modality, merged into one, trained for {steps} steps on weak pairs
  (a sound and a picture of one concept) of the free part, added to the bridge's direction.
"""


def publish(starter: Starter, folder: Path, options: StarterOptions, measure: Callable | None = None) -> dict:
    """Writes the bundle; `measure(folder)` gives the metrics of its card."""
    residual = starter.audio.head.residual
    text = "" if residual is None else _RESIDUAL.format(seeds=options.seeds, steps=options.steps)
    spec = BundleSpec(
        name="starter",
        embedding=options.dim,
        audio=AudioInput(LogMelParams().sample_rate, LogMelParams().samples, "mean"),
        visual=VisualInput(options.size, options.size, "squash", 8),
        labels=audioset_labels(),
        model={
            "kind": "bridge" if residual is None else "bridge+residual",
            "audio": {"stem": "mn04_as", "grid": [4, 32], "shortSounds": "repeated"},
            "visual": {"stem": "efficientnet-lite0", "grid": [7, 7]},
            "options": asdict(options),
            "fittedOn": {
                "sounds": len(starter.sounds.items),
                "pictures": len(starter.pictures.items),
                "split": "train",
            },
            "history": starter.history,
        },
        licence="Apache-2.0",
        free=options.free_only,
        attributions=ATTRIBUTIONS,
        card=lambda bundle: starter_card(bundle, text),
        tagging_from=("audio", "visual"),
        extra_files={"ATTRIBUTIONS.md": starter_attributions(starter.sounds.items, starter.pictures.items)},
    )
    outputs = ("embedding", "tokens", "logits")
    graphs = {"audio": Graph(starter.audio, outputs), "visual": Graph(starter.visual, outputs)}
    return write_bundle(folder, spec, graphs, measure)
