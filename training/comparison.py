"""The paper's comparison at our scale: both losses, each alone, and no pretraining, on the same pairs and steps.

    python comparison.py --pack PACK --clips CLIPS --pairs PAIRS --out runs/comparison --seeds 0 1 2

Each result is a file below --out and is not made again while it stands; a training goes on from its last checkpoint.
So the script may be stopped at any time, and several may work on one folder. At its end it prints the table.
`--ship ../models/cavmae-small` writes the CAV-MAE of the first seed as a bundle.

Measured in torch, on spectrograms that are made once: on a CPU that saves most of the work. What is exported is
measured through its graphs, by `python -m cavmae evaluate`.
"""

import argparse
import fcntl
import functools
import hashlib
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from textwrap import fill

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cavmae.bundles.export_cavmae import Release, export_cavmae
from cavmae.data.attributions import ATTRIBUTIONS, attributions
from cavmae.data.pack import Item, Pack, by_concept, label_vector
from cavmae.data.sources import WeakPairSource, segment_shape
from cavmae.evaluate import retrieval
from cavmae.evaluate.commands import measure
from cavmae.evaluate.metrics import average_precision
from cavmae.evaluate.probe import esc50, predict
from cavmae.media.decode import decode_frames, decode_picture, decode_sound
from cavmae.model import checkpoint
from cavmae.model.cav_mae import CavMae
from cavmae.model.config import SIZES
from cavmae.model.sync import build
from cavmae.randomness import RowRandom
from cavmae.train.augment import AugmentOptions
from cavmae.train.feed import DataOptions
from cavmae.train.finetune import FinetuneRun, TuneOptions, finetune, tag
from cavmae.train.loop import TrainOptions
from cavmae.train.pretrain import PretrainRun, pretrain
from cavmae.train.task import FrontEnds

SMALL = replace(SIZES["small"], norm_pix=False)  # as the paper's model for inpainting: few steps teach means first
OBJECTIVES = {
    "cav-mae": replace(SMALL, contrast_weight=0.1),
    "contrast": replace(SMALL, mae_weight=0.0, contrast_weight=1.0),
    "mae": replace(SMALL, contrast_weight=0.0),
    "untrained": replace(SMALL, mae_weight=0.0, contrast_weight=0.0),
}
PRETRAIN = TrainOptions(steps=1600, batch=32, lr=2e-3, warmup=20, save_every=40, device="cpu", threads=1, workers=1)
TUNE = replace(PRETRAIN, steps=100, batch=24, lr=5e-4, warmup=4)
PENALTY = 0.01  # of the linear probe
FRAMES = 4  # of a clip
HELD_OUT = 128  # pairs of `val` whose losses are measured


class Bench:
    """All that is measured on; what the model takes of it is kept on disk."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.shape, self.frontends = args, segment_shape(SMALL, FRAMES), FrontEnds(SMALL)
        self.whole, self.free = Pack(args.pack), Pack(args.pack, free_only=True)

    def sound(self, source: bytes | Path) -> np.ndarray:
        return self._kept("sound", source, lambda: self._spectrogram(source))

    def picture(self, source: bytes | Path) -> np.ndarray:
        size = (self.shape.height, self.shape.width)
        return self._kept("picture", source, lambda: decode_picture(source, size, self.shape.resize))

    def frames(self, path: Path) -> np.ndarray:
        s = self.shape
        return self._kept("frames", path, lambda: decode_frames(path, FRAMES, s.seconds, (s.height, s.width), s.resize))

    @torch.inference_mode()
    def _spectrogram(self, source: bytes | Path) -> np.ndarray:
        s = self.shape
        sound = decode_sound(source, s.sample_rate, s.seconds, s.channels)[: s.samples]
        samples = np.pad(sound, (0, s.samples - len(sound)))
        return self.frontends.audio(torch.from_numpy(samples)[None], torch.tensor([len(sound)]))[0].half().numpy()

    def _kept(self, kind: str, source: bytes | Path, make: Callable[[], np.ndarray]) -> np.ndarray:
        name = hashlib.sha1(source if isinstance(source, bytes) else str(source).encode()).hexdigest()
        path = self.args.out / "inputs" / f"{kind}-{name}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{id(source)}.npy")
            np.save(partial, make())
            partial.rename(path)
        return np.load(path)

    @functools.cached_property
    def held_out(self) -> tuple[Tensor, Tensor, Tensor]:
        batch = WeakPairSource(self.free, replace(self.shape, frames=1), HELD_OUT, 0, "val").batch(0, slice(None))
        return *self.frontends(batch), batch.groups

    @functools.cached_property
    def seen(self) -> set[str]:
        """Concepts that are trained on."""
        train = ([item for item in items if item.split == "train"] for items in (self.free.sounds, self.free.pictures))
        return set.intersection(*(set(by_concept(items)) for items in train))

    @functools.cached_property
    def labelled(self) -> list[tuple[Item, Item]]:
        """Sounds of the free `val`, each with a picture of its concept."""
        pictures = by_concept([item for item in self.free.pictures if item.split == "val"])
        sounds = [item for item in self.free.sounds if item.split == "val" and item.concept in pictures]
        return [(item, random.Random(item.key).choice(pictures[item.concept])) for item in sounds]


class TorchEncoder:
    """A checkpoint where `evaluate` expects a bundle; a sound is its spectrogram."""

    def __init__(self, model: CavMae, bench: Bench):
        self.model, self.visual = model.eval(), bench.frontends.visual
        self.sound, self.picture, self.frames = bench.sound, bench.picture, bench.frames

    @torch.inference_mode()
    def hear(self, sounds: Iterable[np.ndarray], output: str = "embedding") -> np.ndarray:
        return _unit(self.model.encode_audio(_stacked(sounds).float())[0])

    @torch.inference_mode()
    def see(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        return _unit(self.model.encode_visual(self.visual(_stacked(frames)))[0])

    def watch(self, frames: np.ndarray) -> np.ndarray:
        mean = self.see(frames).mean(axis=0)
        return mean / np.linalg.norm(mean)


def _unit(tokens: Tensor) -> np.ndarray:
    return F.normalize(tokens.mean(dim=1), dim=-1).numpy()


def _stacked(arrays: Iterable[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack([*arrays]))


# --- stages -----------------------------------------------------------------------------------------------------------


def pretrained(objective: str, seed: int, out: Path, bench: Bench) -> None:
    config, path = OBJECTIVES[objective], out / "pretrained/last.pt"
    if objective != "untrained":
        pretrain(PretrainRun(config, data=_data(bench), train=replace(PRETRAIN, seed=seed)), path.parent)
    elif not path.exists():
        torch.manual_seed(seed)
        checkpoint.save(path, build(config), 0)


def measured(objective: str, seed: int, out: Path, bench: Bench) -> None:
    model, state = checkpoint.load(out / "pretrained/last.pt")
    if state["step"] < PRETRAIN.steps and objective != "untrained":
        return
    encoder = TorchEncoder(model, bench)
    _write(out / "retrieval.json", lambda: retrieved(encoder, bench))
    _write(out / "probe.json", lambda: probed(encoder, bench))
    _write(out / "losses.json", lambda: losses(model, bench))


def tuned(objective: str, seed: int, out: Path, bench: Bench) -> None:
    tuning = TuneOptions(out / "pretrained/last.pt", mode="joint", head_lr=10.0)
    run = FinetuneRun(tuning, _data(bench), replace(TUNE, seed=seed), AugmentOptions(mixup=0.0))
    _write(out / "tagging.json", lambda: tagged(finetune(run, out / "tuned").eval(), bench))


STAGES = {"pretrain": pretrained, "measure": measured, "tune": tuned}


def _data(bench: Bench) -> DataOptions:
    return DataOptions(pack=bench.args.pack, free=True, keep=bench.args.out / "kept")


def _write(path: Path, make: Callable[[], dict[str, float]]) -> None:
    if not path.exists():
        path.write_text(json.dumps(make()))


@torch.inference_mode()
def losses(model: CavMae, bench: Bench) -> dict[str, float]:
    """On held-out pairs, masked as in training."""
    model.config = replace(model.config, mae_weight=1.0, contrast_weight=1.0)
    fbank, image, groups = bench.held_out
    found = model(fbank, image, RowRandom(0, 0, range(HELD_OUT), "held out"), groups)
    return {"MAE sound": found.mae_audio.item(), "MAE picture": found.mae_visual.item()}


def retrieved(encoder: TorchEncoder, bench: Bench) -> dict[str, float]:
    concepts = retrieval.concepts(encoder, bench.whole)
    results = {
        "val": concepts,
        "clips": retrieval.clips(encoder, bench.args.clips),
        "pairs": retrieval.pairs(encoder, bench.args.pairs),
    }
    found = {f"{name} {metric.name}": metric.value for name, result in results.items() for metric in result.metrics()}
    for way, precision in concepts.precision.items():
        found[f"seen {way}"] = 100 * float(np.mean([precision[name] for name in bench.seen if name in precision]))
    return found


def probed(encoder: TorchEncoder, bench: Bench) -> dict[str, float]:
    """Per cent right of ESC-50's fold 5, by the other four."""
    features = esc50(encoder, bench.whole, "embedding")
    x, y, tested = features.x, features.y, features.fold == 5
    said = predict(x[~tested], y[~tested], x[tested], PENALTY)
    return {"probe": 100 * (said == y[tested]).float().mean().item()}


@torch.inference_mode()
def tagged(model: CavMae, bench: Bench) -> dict[str, float]:
    """Macro mAP of a head that was tuned on both modalities, with both and with the sound alone."""
    said = {"joint": [], "sound": []}
    for heard, seen in bench.labelled:
        fbank = torch.from_numpy(bench.sound(bench.free.read(heard))).float()[None]
        image = bench.frontends.visual(torch.from_numpy(bench.picture(bench.free.read(seen)))[None])
        said["joint"].append(tag(model, fbank, image, "joint")[0].numpy())
        said["sound"].append(model.classify_missing(model.tower_a(model.tokens_a(fbank)), "a")[0].numpy())
    truth = np.stack([label_vector(heard) for heard, _ in bench.labelled]) > 0
    present = np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0))
    return {
        f"tagging {name}": 100 * float(np.mean([average_precision(np.stack(rows)[:, c], truth[:, c]) for c in present]))
        for name, rows in said.items()
    }


# --- bundle -----------------------------------------------------------------------------------------------------------

ABOUT = """\
The paper's architecture and both of its losses at a size for one CPU core, trained from scratch by
`training/comparison.py`: {seconds:g} s of sound at 16 kHz and frames of {image} pixels in patches of 16 x 16,
{tower_depth} blocks for each modality and {joint_depth} shared. It shows that the server takes encoders of this kind.
It fills in what is masked, and finds hardly better than chance does: what searches is `starter`.

## Data

{sounds} sounds and {pictures} pictures, free to be used with attribution (ATTRIBUTIONS.md), of {concepts} concepts:
{names}.
They were never recorded together: a pair is any sound with any picture of one concept. {steps} steps of {batch} pairs,
seed {seed}. None of what is measured below was trained on.

## Limits

- {steps} steps are little, and the concepts few: compare what is measured with chance, R@10 of 57 clips 17.5 %,
  of 98 pairs 10.2 %.
- It has no tags. It has heard single sounds and seen single things, no scenes, and never a video.
- It hears the first channel, in segments of {seconds:g} s."""


def ship(out: Path, folder: Path, bench: Bench) -> None:
    """The bundle is free: of the free part of the pack, and of the concepts that it has sounds and pictures of."""
    seed = bench.args.seeds[0]
    sounds, pictures = (
        [item for item in items if item.split == "train" and item.concept in bench.seen]
        for items in (bench.free.sounds, bench.free.pictures)
    )
    told = {"sounds": len(sounds), "pictures": len(pictures), "concepts": len(bench.seen), "seed": seed}
    names = fill(", ".join(sorted(bench.seen)).replace("_", " "), width=120)
    told |= {"names": names, "steps": PRETRAIN.steps, "batch": PRETRAIN.batch}
    release = Release(
        licence="Apache-2.0",
        free=True,
        precision="fp16",
        judged_on=bench.args.clips,
        measure=lambda made: measure(made, bench.args.clips, bench.args.pairs, bench.whole),
        about=ABOUT.format(**told, **SMALL.to_json()),
        attributions=tuple(ATTRIBUTIONS),
        extra_files={"ATTRIBUTIONS.md": attributions(ATTRIBUTIONS, "train the weights", sounds, pictures)},
    )
    export_cavmae(out / f"cav-mae-{seed}/pretrained/last.pt", folder, "none", release)


# --- table ------------------------------------------------------------------------------------------------------------

WAYS = retrieval.WAYS
ROWS = {
    "held-out MAE loss, sound / picture": ["MAE sound", "MAE picture"],
    "concept mAP": [f"val concept mAP {way} [%]" for way in WAYS],
    "of concepts that were trained on": [f"seen {way}" for way in WAYS],
    "clips R@1": [f"clips R@1 {way} [%]" for way in WAYS],
    "clips R@5": [f"clips R@5 {way} [%]" for way in WAYS],
    "clips R@10": [f"clips R@10 {way} [%]" for way in WAYS],
    "clips MRR": [f"clips MRR {way} [%]" for way in WAYS],
    "pairs R@1": [f"pairs R@1 {way} [%]" for way in WAYS],
    "pairs R@5": [f"pairs R@5 {way} [%]" for way in WAYS],
    "pairs R@10": [f"pairs R@10 {way} [%]" for way in WAYS],
    "linear probe, ESC-50 fold 5": ["probe"],
    "tuned tagging mAP, joint / sound alone": ["tagging joint", "tagging sound"],
}


def table(out: Path) -> str:
    """The mean over the seeds, and the least and the most of them."""
    runs = {name: [_results(folder) for folder in sorted(out.glob(f"{name}-*"))] for name in OBJECTIVES}
    lines = ["| | " + " | ".join(f"{name} ({len(found)})" for name, found in runs.items()) + " |"]
    lines.append("|---" * (len(runs) + 1) + "|")
    for row, names in ROWS.items():
        cells = [" / ".join(_cell([r[name] for r in found if name in r]) for name in names) for found in runs.values()]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _results(folder: Path) -> dict[str, float]:
    return {name: value for path in folder.glob("*.json") for name, value in json.loads(path.read_text()).items()}


def _cell(values: list[float]) -> str:
    return f"{np.mean(values):.3g} ({min(values):.3g} to {max(values):.3g})" if values else "-"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("pack", "clips", "pairs", "out"):
        p.add_argument(f"--{name}", type=Path, required=True)
    p.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    p.add_argument("--ship", type=Path, help="folder of a bundle to write")
    p.add_argument("--stages", choices=STAGES, nargs="+", default=[*STAGES])
    args = p.parse_args()
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    bench = Bench(args)
    for seed in args.seeds:
        for objective in OBJECTIVES:
            out = args.out / f"{objective}-{seed}"
            out.mkdir(parents=True, exist_ok=True)
            with (out / "lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # another worker's
                for stage in args.stages:
                    STAGES[stage](objective, seed, out, bench)
    print(table(args.out))
    if args.ship:
        ship(args.out, args.ship, bench)


if __name__ == "__main__":
    main()
