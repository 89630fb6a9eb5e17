"""The bundle of a base and what was learnt on a library."""

import shutil
from pathlib import Path

import numpy as np

from ..bundles.answers import Segments
from ..bundles.attach import attach
from ..bundles.bundle import Encoder
from ..bundles.export import fingerprint, graph_files, placed, write_json
from ..bundles.golden import golden
from ..bundles.parity import alike, check_contract
from ..evaluate.metrics import table
from ..media.shape import SegmentShape
from .adapt import Adapted, AdaptOptions, feature_output

_CARD = """# {name}

The bundle `{base}` ({before}) fitted to a library: a small residual a modality, learnt in {steps} steps from zero by
contrast between the sounds and pictures of {learnt} recordings, with no labels. The stems, the tags and all else are
the base's; every token takes the same step, so explanations keep their shape.

## Measured

On recordings that were held out from learning; 95 % bootstrap intervals over segments.

Before:

{was}

After:

{now}

{gain} to {low}, {high}: the mean reciprocal rank of both directions, paired.

## Limits

It fits the library that it was learnt on; on other material it may be worse than its base. What the base's card says of
licences and limits holds here too; whether these weights may be passed on also depends on the library.
"""


def write_adapted(encoder: Encoder, out: Path, adapted: Adapted, options: AdaptOptions) -> dict:
    base = encoder.bundle
    with placed(out) as made:
        shutil.copytree(encoder.folder, made, dirs_exist_ok=True)
        for name, residual in (("audio", adapted.audio), ("visual", adapted.visual)):
            path = made / f"{name}.onnx"
            attach(encoder.folder / base["graphs"][name]["file"], path, residual, feature_output(encoder, name))
            check_contract(path, noise(encoder.shape).feeds(name), alike)
        tagging = tuple(base["tagging"]["from"]) if base["tagging"] else ()
        write_json(made / "golden.json", golden(made, encoder.shape, tagging))
        bundle = _described(base, out.name, made, adapted, options)
        write_json(made / "bundle.json", bundle)
        (made / "README.md").write_text(_card(bundle, base, adapted, options), encoding="utf-8")
    return bundle


def noise(shape: SegmentShape) -> Segments:
    """Sounds of unlike lengths, frames of every value."""
    random = np.random.default_rng(0)
    samples = 0.1 * random.standard_normal((3, shape.samples), np.float32)
    frames = random.integers(0, 256, (3, shape.height, shape.width, 3), np.uint8)
    return Segments(samples, np.array([shape.samples, shape.samples // 2, shape.samples // 20]), frames)


def _described(base: dict, name: str, made: Path, adapted: Adapted, options: AdaptOptions) -> dict:
    learning = {"from": base["fingerprint"], "recordings": adapted.learnt, **vars(options)}
    bundle = base | {
        "name": name,
        "graphs": graph_files(made),
        "model": base["model"] | {"adapted": learning},
        "free": False,  # nothing is known of the library's licence
        "metrics": [metric.json() for metric in (*adapted.after, adapted.gain)],
    }
    bundle.pop("equals", None)  # fingerprints of the base's embeddings: these are others
    return bundle | {"fingerprint": fingerprint(bundle)}


def _card(bundle: dict, base: dict, adapted: Adapted, options: AdaptOptions) -> str:
    low, high = adapted.gain.interval
    return _CARD.format(
        name=bundle["name"], base=base["name"], before=base["fingerprint"][:12], steps=options.steps,
        learnt=adapted.learnt, was=table(adapted.before), now=table(adapted.after),
        gain=f"{adapted.gain.value} points gained, interval {low}", low=low, high=high,
    )  # fmt: skip
