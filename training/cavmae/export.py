"""Writes a bundle: graphs, manifest, labels, golden numbers and card together, or nothing."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

OPSET = 20
GOLDEN_ATOL = 1e-3
PARITY_ATOL = 2e-4  # of torch against onnxruntime, on unit embeddings


@dataclass(frozen=True)
class AudioInput:
    sample_rate: int  # Hz
    samples: int
    channels: str  # "mean" | "first"


@dataclass(frozen=True)
class VisualInput:
    width: int
    height: int
    resize: str  # "squash" | "cover"
    frames_per_segment: int


@dataclass(frozen=True)
class BundleSpec:
    """All that is to be said about a bundle, beside its graphs."""

    name: str
    embedding: int
    audio: AudioInput
    visual: VisualInput
    labels: list[dict]  # [{"index", "mid", "name"}], [] where no graph gives logits
    model: dict
    licence: str
    free: bool
    attributions: list[str]
    card: Callable[[dict], str]  # bundle.json -> README.md
    tagging_from: tuple[str, ...] = ()
    tower_shapes: tuple[tuple[int, int], ...] = ()  # of audio and visual, where there is a joint graph
    extra_files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    module: nn.Module
    outputs: tuple[str, ...]  # in the order of the module's results


def write_bundle(folder: Path, spec: BundleSpec, graphs: dict[str, Graph], measure: Callable | None = None) -> dict:
    """Exports, checks in onnxruntime, then puts `folder` in place in one step. `measure(folder)` returns metrics."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        made = Path(scratch) / folder.name
        made.mkdir()
        for name, graph in graphs.items():
            export_graph(made / f"{name}.onnx", graph, example_inputs(name, spec, batch=2))
            check_graph(made / f"{name}.onnx", graph, name, spec)
        bundle = manifest(made, spec, list(graphs), [])
        _write_json(made / "labels.json", spec.labels)
        _write_json(made / "golden.json", golden(made, spec))
        _write_json(made / "bundle.json", bundle)
        if measure:
            bundle = manifest(made, spec, list(graphs), [metric.json() for metric in measure(made)])
            _write_json(made / "bundle.json", bundle)
        for name, text in {"README.md": spec.card(bundle), **spec.extra_files}.items():
            (made / name).write_text(text, encoding="utf-8")
        _replace(folder, made)
    return bundle


def _replace(folder: Path, made: Path) -> None:
    if folder.exists():
        old = made.parent / "replaced"
        folder.rename(old)
    made.rename(folder)


def export_graph(path: Path, graph: Graph, example: dict[str, Tensor]) -> None:
    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.onnx.export(
        graph.module.eval(),
        tuple(example.values()),
        input_names=list(example),
        output_names=list(graph.outputs),
        dynamic_shapes=tuple({0: batch} for _ in example),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    program.save(path, external_data=False)


def example_inputs(name: str, spec: BundleSpec, batch: int, seed: int = 0) -> dict[str, Tensor]:
    """Random inputs of a graph, sounds of unlike lengths."""
    random = torch.Generator().manual_seed(seed)
    if name == "audio":
        lengths = torch.linspace(1.0, 0.05, batch) * spec.audio.samples
        return {
            "samples": 0.1 * torch.randn(batch, spec.audio.samples, generator=random),
            "lengths": lengths.long().clamp_min(1),
        }
    if name == "visual":
        shape = (batch, spec.visual.height, spec.visual.width, 3)
        return {"frames": torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)}
    if name == "joint":
        shapes = {"audio_tower": spec.tower_shapes[0], "visual_tower": spec.tower_shapes[1]}
        return {key: torch.randn(batch, *shape, generator=random) for key, shape in shapes.items()}
    raise ValueError(f"Expected audio, visual or joint, got {name}")


def check_graph(path: Path, graph: Graph, name: str, spec: BundleSpec) -> None:
    """Torch against onnxruntime; a row alone against the row in a batch."""
    session = open_graph(path)
    inputs = example_inputs(name, spec, batch=3, seed=1)
    with torch.inference_mode():
        results = graph.module(*inputs.values())
    results = (results,) if isinstance(results, Tensor) else results
    expected = dict(zip(graph.outputs, results, strict=True))
    feeds = {key: value.numpy() for key, value in inputs.items()}
    actual = dict(zip(graph.outputs, session.run(list(graph.outputs), feeds), strict=True))
    for output, value in expected.items():
        _close(f"{path.name}: {output}, torch against onnxruntime", actual[output], value.numpy())
    for row in range(3):
        alone = session.run(list(graph.outputs), {key: value[row : row + 1] for key, value in feeds.items()})
        for output, value in zip(graph.outputs, alone, strict=True):
            _close(f"{path.name}: {output}, row {row} alone against in a batch", value[0], actual[output][row])
    if name != "joint":
        check_contract(session, path, feeds, actual, name)


def check_contract(session, path: Path, feeds: dict, actual: dict, name: str) -> None:
    """The mean of the tokens is the embedding before its norm; nothing behind `lengths` is heard."""
    mean = actual["tokens"].mean(axis=1)
    unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    _close(f"{path.name}: mean of tokens against embedding", unit, actual["embedding"])
    if name == "audio":
        noisy = feeds["samples"].copy()
        for row, length in zip(noisy, feeds["lengths"], strict=True):
            row[length:] = np.nan
        deaf = session.run(list(actual), {**feeds, "samples": noisy})
        for output, value in zip(actual, deaf, strict=True):
            _close(f"{path.name}: {output}, NaN behind lengths", value, actual[output])


def _close(what: str, actual: np.ndarray, expected: np.ndarray) -> None:
    limit = PARITY_ATOL * max(1.0, float(np.abs(expected).max()))
    worst = float(np.abs(actual - expected).max())
    if not worst <= limit:
        raise AssertionError(f"{what}: expected at most {limit:.1e} apart, got {worst:.1e}; no bundle was written")


def open_graph(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])


def golden_samples(rate: int, size: int, length: int) -> np.ndarray:
    """A rising tone, then silence.                                                       float32 [size]"""
    t = np.arange(size, dtype=np.float64) / rate
    tone = 0.3 * np.sin(2 * np.pi * (200 + 300 * t) * t)
    return np.where(np.arange(size) < length, tone, 0.0).astype(np.float32)


def golden_frame(height: int, width: int) -> np.ndarray:
    """uint8 [H, W, 3]"""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((3 * y + 5 * x + 85 * c + ((x * y) >> 4)) & 255).astype(np.uint8)


def golden(folder: Path, spec: BundleSpec) -> dict:
    """What the graphs say of inputs that any language can make."""
    length = 7 * spec.audio.sample_rate
    samples = golden_samples(spec.audio.sample_rate, spec.audio.samples, length)[None]
    feeds = {
        "audio": {"samples": samples, "lengths": np.array([length], np.int64)},
        "visual": {"frames": golden_frame(spec.visual.height, spec.visual.width)[None]},
    }
    result: dict = {"atol": GOLDEN_ATOL}
    for name, feed in feeds.items():
        wanted = ["embedding", "logits"] if name in spec.tagging_from else ["embedding"]
        values = open_graph(folder / f"{name}.onnx").run(wanted, feed)
        result[name] = {"length": length} if name == "audio" else {}
        result[name] |= {w: [float(f"{x:.7g}") for x in v[0]] for w, v in zip(wanted, values, strict=True)}
    return result


def manifest(folder: Path, spec: BundleSpec, graphs: list[str], metrics: list[dict]) -> dict:
    files = {
        name: {"file": f"{name}.onnx", "sha256": hashlib.sha256((folder / f"{name}.onnx").read_bytes()).hexdigest()}
        for name in ("audio", "visual", "joint")
        if name in graphs
    }
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
        "graphs": files,
        "tagging": {"labels": "labels.json", "from": list(spec.tagging_from)} if spec.tagging_from else None,
        "golden": "golden.json",
        "model": spec.model,
        "licence": spec.licence,
        "free": spec.free,
        "attributions": spec.attributions,
        "metrics": metrics,
    }
    return {"format": 1, "name": spec.name, "fingerprint": fingerprint(bundle), **bundle}


def fingerprint(bundle: dict) -> str:
    """SHA-256 over the graphs' sums and the front end's numbers: what decides whether embeddings may meet."""
    graphs, audio, visual = bundle["graphs"], bundle["audio"], bundle["visual"]
    lines = ["earshot-bundle 1"]
    lines += [f"{graphs[n]['file']} {graphs[n]['sha256']}" for n in ("audio", "visual", "joint") if n in graphs]
    lines.append(f"embedding {bundle['embedding']}")
    lines.append(f"audio {audio['sampleRateHz']} {audio['samples']} {audio['channels']}")
    lines.append(f"visual {visual['width']} {visual['height']} {visual['resize']} {visual['framesPerSegment']}")
    return hashlib.sha256(("\n".join(lines) + "\n").encode()).hexdigest()


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
