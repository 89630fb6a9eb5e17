"""Writes a bundle: graphs, manifest, labels, golden numbers and card together, or nothing."""

import argparse
import glob
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ..media.shape import SegmentShape
from .golden import golden
from .graph import Graph, export_graph, fused_counts
from .parity import check_graph
from .precision import PRECISIONS, reduce_precision
from .real_segments import real_segments

# What a bundle may hold. The tagging graphs are there where the retrieval graphs are of another checkpoint.
GRAPHS = ("audio", "visual", "joint", "audio_tagging", "visual_tagging")
RETRIEVAL_GRAPHS = GRAPHS[:3]  # as the fingerprint lists them
ABANDONED_SECONDS = 24 * 3600


@dataclass(frozen=True)
class AudioInput:
    sample_rate: int  # Hz
    samples: int
    channels: str  # "mean" | "first"


@dataclass(frozen=True)
class VisualInput:
    width: int
    height: int
    resize: str  # of RESIZES
    frames_per_segment: int


@dataclass(frozen=True)
class BundleSpec:
    """All that is to be said about a bundle, beside its graphs."""

    name: str
    embedding: int
    audio: AudioInput
    visual: VisualInput
    labels: list[dict]  # [{"index", "mid", "name"}], [] where no graph gives logits; without a mid, the name is it
    model: dict
    licence: str
    free: bool
    attributions: list[str]
    card: Callable[[dict], str]  # bundle.json -> README.md
    tagging_from: tuple[str, ...] = ()
    tower_shapes: tuple[tuple[int, int], ...] = ()  # of audio and visual, where there is a joint graph
    extra_files: dict[str, str] = field(default_factory=dict)

    @property
    def shape(self) -> SegmentShape:
        audio, visual = self.audio, self.visual
        sound = (audio.sample_rate, audio.samples, audio.channels)
        return SegmentShape(*sound, visual.height, visual.width, visual.resize, visual.frames_per_segment)


def write_bundle(
    folder: Path,
    spec: BundleSpec,
    graphs: dict[str, Graph],
    measure: Callable | None = None,
    precision: str = "fp32",
    judged_on: Path | None = None,
) -> dict:
    """Exports, checks in onnxruntime, then puts `folder` in place in one step. `measure(folder)` returns metrics.

    Another precision than fp32 is refused where it answers differently on the clips or the pack `judged_on`.
    """
    if (precision != "fp32") != (judged_on is not None):
        raise ValueError(f"Expected clips or a pack to judge on exactly where not fp32, got {precision}, {judged_on}")
    with placed(folder) as made:
        for name, graph in graphs.items():
            export_graph(made / f"{name}.onnx", graph, example_inputs(name, spec, batch=2))
            check_graph(made / f"{name}.onnx", graph, example_inputs(name, spec, batch=3, seed=1))
        spec = replace(spec, model={**spec.model, **_reduced(made, spec, precision, judged_on)})
        bundle = _describe(made, spec, [])
        write_json(made / "labels.json", [_label(**label) for label in spec.labels])
        write_json(made / "golden.json", golden(made, spec.shape, spec.tagging_from))
        if measure:
            bundle = _describe(made, spec, [metric.json() for metric in measure(made)])
        for name, text in {"README.md": spec.card(bundle), **spec.extra_files}.items():
            (made / name).write_text(text, encoding="utf-8")
    return bundle


def _label(index: int, name: str, mid: str | None = None) -> dict:
    return {"index": index, "mid": mid or name, "name": name}


def expect_place(folder: Path) -> None:
    """A bundle replaces a bundle, and nothing else."""
    if folder.exists() and not (folder / "bundle.json").exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"Expected an --out that is new, empty or a bundle, got {folder}, which holds something else")


@contextmanager
def placed(folder: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `folder` in one step, or none where anything fails."""
    expect_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{glob.escape(folder.name)}-*"):  # by a process that was killed
        if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        made = Path(scratch) / folder.name
        made.mkdir()
        yield made
        if folder.exists():
            folder.rename(made.parent / "replaced")
        made.rename(folder)


def _reduced(made: Path, spec: BundleSpec, precision: str, judged_on: Path | None) -> dict:
    """What the manifest tells of the precision, and of what onnxruntime fuses."""
    facts: dict = {"precision": precision}
    if judged_on:
        segments = real_segments(judged_on, spec.shape)
        facts["agreement"] = reduce_precision(made, precision, segments)
    return facts | {"fused": {path.stem: fused_counts(path) for path in sorted(made.glob("*.onnx"))}}


def _describe(made: Path, spec: BundleSpec, metrics: list[dict]) -> dict:
    bundle = manifest(made, spec, metrics)
    write_json(made / "bundle.json", bundle)
    return bundle


def example_inputs(name: str, spec: BundleSpec, batch: int, seed: int = 0) -> dict[str, Tensor]:
    """Random inputs of a graph, sounds of unlike lengths."""
    random = torch.Generator().manual_seed(seed)
    modality = name.removesuffix("_tagging")
    if modality == "audio":
        lengths = torch.linspace(1.0, 0.05, batch) * spec.audio.samples
        return {
            "samples": 0.1 * torch.randn(batch, spec.audio.samples, generator=random),
            "lengths": lengths.long().clamp_min(1),
        }
    if modality == "visual":
        shape = (batch, spec.visual.height, spec.visual.width, 3)
        return {"frames": torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)}
    if name == "joint":
        shapes = {"audio_tower": spec.tower_shapes[0], "visual_tower": spec.tower_shapes[1]}
        return {key: torch.randn(batch, *shape, generator=random) for key, shape in shapes.items()}
    raise ValueError(f"Expected one of {GRAPHS}, got {name}")


def manifest(folder: Path, spec: BundleSpec, metrics: list[dict]) -> dict:
    bundle = {
        "format": 1,
        "name": spec.name,
        "embedding": spec.embedding,
        "audio": {
            "sampleRateHz": spec.audio.sample_rate,
            "samples": spec.audio.samples,
            "channels": spec.audio.channels,
        },
        "visual": {
            "width": spec.visual.width,
            "height": spec.visual.height,
            "resize": spec.visual.resize,
            "framesPerSegment": spec.visual.frames_per_segment,
        },
        "graphs": graph_files(folder),
        "tagging": {"labels": "labels.json", "from": list(spec.tagging_from)} if spec.tagging_from else None,
        "golden": "golden.json",
        "model": spec.model,
        "licence": spec.licence,
        "free": spec.free,
        "attributions": spec.attributions,
        "metrics": metrics,
    }
    return {"format": 1, "name": spec.name, "fingerprint": fingerprint(bundle), **bundle}


def graph_files(folder: Path) -> dict:
    """The manifest's list of the graphs that a folder holds."""
    return {
        name: {"file": f"{name}.onnx", "sha256": hashlib.sha256((folder / f"{name}.onnx").read_bytes()).hexdigest()}
        for name in GRAPHS
        if (folder / f"{name}.onnx").exists()
    }


def metric_rows(bundle: dict) -> list[str]:
    """Of a card, in Markdown."""
    rows = ["| measure | value | 95 % interval | data |", "|---|---|---|---|"]
    for m in bundle["metrics"]:
        interval = f"{m['interval'][0]} to {m['interval'][1]}" if m["interval"] else m["note"]
        rows.append(f"| {m['name']} | {m['value']} | {interval} | {m['data']} |")
    return rows


def exported(bundle: dict) -> dict:
    """What a command says of the bundle that it wrote."""
    model = bundle["model"]
    facts = {name: model[name] for name in ("precision", "agreement", "fused") if name in model}
    return {"fingerprint": bundle["fingerprint"], **facts}


def add_precision(p: argparse.ArgumentParser) -> None:
    p.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of the weights")
    p.add_argument("--judged-on", type=Path, help="clips or a pack on which another precision must answer as fp32")


def fingerprint(bundle: dict) -> str:
    """SHA-256 over the graphs' sums and the front end's numbers: what decides whether embeddings may meet."""
    graphs, audio, visual = bundle["graphs"], bundle["audio"], bundle["visual"]
    lines = ["earshot-bundle 1"]
    lines += [f"{graphs[n]['file']} {graphs[n]['sha256']}" for n in RETRIEVAL_GRAPHS if n in graphs]
    lines.append(f"embedding {bundle['embedding']}")
    lines.append(f"audio {audio['sampleRateHz']} {audio['samples']} {audio['channels']}")
    lines.append(f"visual {visual['width']} {visual['height']} {visual['resize']} {visual['framesPerSegment']}")
    return hashlib.sha256(("\n".join(lines) + "\n").encode()).hexdigest()


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
