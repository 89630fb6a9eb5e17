"""The starter: mn04 and EfficientNet-Lite0, joined by class names (nothing trained), plus learned residuals.

Trained on the free part of the pack only, because the result is published.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..bundles.export import AudioInput, BundleSpec, VisualInput, write_bundle
from ..bundles.graph import Graph
from ..data.attributions import attributions
from ..data.audioset import audioset_labels, audioset_map
from ..data.pack import Pack
from ..model.frontend import LogMel, LogMelParams, lite_pixels
from ..model.heads import CLIP, AudioHead, Bridge, Reach, VisualHead, merge, principal_axes
from ..model.stems import EfficientNetLite, Mn04, efficientnet_lite, mn04
from .card import ATTRIBUTIONS, USED, starter_card
from .features import Features, picture_features, sound_features
from .residual import ResidualOptions, Trainer, picture_side, pseudo_scores, pseudo_sounds, sound_side


@dataclass(frozen=True)
class StarterOptions:
    dim: int = 256
    size: int = 224  # pixels a side; ends beyond 4:3 are cut off, the rest is squashed
    axes: int = 128  # directions of the pool in which tokens differ
    power: float = 0.6  # of the class scores
    whiten: float = 0.4  # a class is divided by this power of how much it varies
    shrink: float = 0.3  # towards the mean variation
    free_only: bool = True


@dataclass(frozen=True)
class StarterRun:
    starter: StarterOptions = StarterOptions()
    residual: ResidualOptions = ResidualOptions()


class AudioEncoder(nn.Module):
    """samples [B, T] float32 at 32 kHz, lengths [B] -> embedding [B, D], tokens [B, 32, D],
    logits [B, 527], pool [B, 384]. A token is a quarter of the mel axis by an eighth of the time."""

    def __init__(self, net: Mn04, head: AudioHead):
        super().__init__()
        self.frontend, self.features, self.head = LogMel(), net.features, head

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        cells = F.avg_pool2d(self.features(self.frontend(samples, lengths)), (1, 4))  # [B, 384, 4, 8]
        return self.head(cells.flatten(2).transpose(1, 2))


class VisualEncoder(nn.Module):
    """frames uint8 [B, 224, 224, 3] -> embedding [B, D], tokens [B, 49, D], logits [B, 527], pool [B, 1280]."""

    def __init__(self, net: EfficientNetLite, head: VisualHead):
        super().__init__()
        self.frontend, self.features, self.head = lite_pixels(), net.features, head

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        return self.head(self.features(self.frontend(frames)).flatten(2).transpose(1, 2))


@dataclass(frozen=True)
class Starter:
    audio: AudioEncoder
    visual: VisualEncoder
    sounds: Features  # what the bridge's means and the residual were fitted on
    pictures: Features
    history: list[dict]


def build(pack: Pack, teacher: Path, cache: Path, run: StarterRun = StarterRun()) -> Starter:
    """Features, bridge, residuals; `pack` may hold more than the training split, the rest is left out."""
    options, learning = run.starter, run.residual
    sound_net, picture_net = mn04(teacher), efficientnet_lite(0)
    chosen = [
        [item for item in items if item.split == "train" and (item.free or not options.free_only)]
        for items in (pack.sounds, pack.pictures)
    ]
    sounds = sound_features(pack, chosen[0], sound_net, cache)
    pictures = picture_features(pack, chosen[1], picture_net, options.size, cache)
    table = torch.from_numpy(audioset_map())
    pseudo = pseudo_sounds(sounds, sound_net, learning.pseudo_sounds)
    audio_bridge, visual_bridge = bridges(sounds, pictures, pseudo_scores(pseudo, sound_net), table, options)
    reach = Reach.of(sounds.pool, learning.reach_axes, learning.reach)
    audio_side = sound_side(sounds, pseudo, sound_net, audio_bridge, reach, learning)
    visual_side = picture_side(pictures, picture_net, visual_bridge, table, learning)
    trainer = Trainer(audio_side, visual_side, table, learning)
    runs = [trainer.run(seed) for seed in range(learning.seeds)]
    audio_residual = merge([run[0] for run in runs], learning.audio_share).eval() if runs else None
    visual_residual = merge([run[1] for run in runs], learning.visual_share).eval() if runs else None
    axes = principal_axes(sounds.pool, options.axes), principal_axes(pictures.pool, options.axes)
    audio_head = AudioHead(sound_net.classifier, audio_bridge, audio_residual, axes[0], reach)
    visual_head = VisualHead(picture_net.classifier, visual_bridge, visual_residual, axes[1], table)
    audio, visual = AudioEncoder(sound_net, audio_head), VisualEncoder(picture_net, visual_head)
    return Starter(audio.eval(), visual.eval(), sounds, pictures, [run[2] for run in runs])


def bridges(
    sounds: Features, pictures: Features, pseudo: Tensor, table: Tensor, options: StarterOptions
) -> tuple[Bridge, Bridge]:
    """Mean and weight of each class for each modality; one PCA basis, uncentred, for both. `pseudo`: scores."""
    heard, seen = (
        scores.clamp_min(CLIP) ** options.power
        for scores in (sounds.logits.sigmoid(), pictures.logits.softmax(-1) @ table)
    )  # [n, 527]
    mean_heard, mean_seen = heard.mean(0), seen.mean(0)
    weight_heard, weight_seen = _weight(heard.std(0), options), _weight(seen.std(0), options)
    as_heard = torch.cat([heard, pseudo.clamp_min(CLIP) ** options.power]) - mean_heard
    as_seen = torch.cat([seen[::5], table.clamp_min(CLIP) ** options.power]) - mean_seen
    units = F.normalize(torch.cat([as_heard * weight_heard, as_seen * weight_seen]), dim=-1).double()
    basis = torch.linalg.eigh(units.T @ units).eigenvectors[:, -options.dim :].flip(1).float()  # [527, D]
    return (
        Bridge(options.power, mean_heard, weight_heard, basis),
        Bridge(options.power, mean_seen, weight_seen, basis),
    )


def _weight(std: Tensor, options: StarterOptions) -> Tensor:
    return (std + options.shrink * std.mean()) ** -options.whiten


_RESIDUAL = """\
- **Residual**: {seeds} small networks a modality, merged into one, trained for {steps} steps on the free part of the
  pack: its labels, weak pairs (a sound and a picture of one concept) and pseudo-features of each class, added to the
  bridge's direction ({audio_share} of the audio one, {visual_share} of the visual one). A sound unlike all that the
  audio one learnt from is left to the bridge.
"""


def publish(
    starter: Starter,
    folder: Path,
    run: StarterRun,
    measure: Callable | None = None,
    precision: str = "fp32",
    judged_on: Path | None = None,
) -> dict:
    """Writes the bundle; `measure(folder)` gives the metrics of its card."""
    options = run.starter
    residual = starter.audio.head.residual
    text = "" if residual is None else _RESIDUAL.format(**vars(run.residual))
    spec = BundleSpec(
        name="starter",
        embedding=options.dim,
        audio=AudioInput(LogMelParams().sample_rate, LogMelParams().samples, "mean"),
        visual=VisualInput(options.size, options.size, "trim", 8),
        labels=audioset_labels(),
        model={
            "kind": "bridge" if residual is None else "bridge+residual",
            "audio": {"stem": "mn04_as", "grid": [4, 8], "shortSounds": "repeated"},
            "visual": {"stem": "efficientnet-lite0", "grid": [7, 7]},
            "options": asdict(run),
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
        extra_files={"ATTRIBUTIONS.md": attributions(ATTRIBUTIONS, USED, starter.sounds.items, starter.pictures.items)},
    )
    outputs = ("embedding", "tokens", "logits", "pool")
    graphs = {"audio": Graph(starter.audio, outputs), "visual": Graph(starter.visual, outputs)}
    return write_bundle(folder, spec, graphs, measure, precision, judged_on)
