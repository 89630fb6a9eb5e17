import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cavmae.config import SIZES
from cavmae.export import example_inputs, fingerprint, golden_frame, golden_samples, open_graph
from cavmae.export_cavmae import write_model
from cavmae.model import CavMae

from .conftest import REPOSITORY

BUNDLES = sorted(path.parent for path in (REPOSITORY / "models").glob("*/bundle.json"))


def test_a_tiny_cav_mae_becomes_a_bundle(tmp_path):
    model = CavMae(dataclasses.replace(SIZES["tiny"], tower_depth=1, classes=527)).eval()

    bundle = write_model(model, tmp_path / "tiny", mode="joint")

    check_bundle(tmp_path / "tiny")
    assert list(bundle["graphs"]) == ["audio", "visual", "joint"] and bundle["tagging"]["from"] == ["joint"]
    tower = torch.randn(2, 512, 64), torch.randn(2, 196, 64)
    feeds = {"audio_tower": tower[0].numpy(), "visual_tower": tower[1].numpy()}
    (logits,) = open_graph(tmp_path / "tiny" / "joint.onnx").run(["logits"], feeds)
    with torch.no_grad():
        assert np.abs(logits - model.classify(model.encode_joint(*tower)).numpy()).max() < 1e-4


def test_nothing_is_written_when_a_check_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("cavmae.export.PARITY_ATOL", -1.0)

    with pytest.raises(AssertionError, match="no bundle was written"):
        write_model(CavMae(dataclasses.replace(SIZES["tiny"], tower_depth=1)), tmp_path / "tiny", mode="none")

    assert list(tmp_path.iterdir()) == []


def test_golden_inputs_are_those_of_the_contract():
    samples, frame = golden_samples(32_000, 320_000, 224_000), golden_frame(224, 224)

    t = 1_000 / 32_000
    assert samples[1_000] == np.float32(0.3 * np.sin(2 * np.pi * (200 + 300 * t) * t)) and not samples[224_000:].any()
    assert frame[100, 201, 2] == (300 + 1005 + 170 + (20_100 >> 4)) & 255


@pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: folder.name)
def test_a_released_bundle_keeps_the_contract(folder):
    check_bundle(folder)


def check_bundle(folder: Path) -> None:
    bundle = json.loads((folder / "bundle.json").read_text())
    for graph in bundle["graphs"].values():
        assert hashlib.sha256((folder / graph["file"]).read_bytes()).hexdigest() == graph["sha256"]
    assert bundle["fingerprint"] == fingerprint_by_hand(bundle) == fingerprint(bundle)
    check_labels(folder, bundle)
    check_golden(folder, bundle)
    check_batches(folder, bundle)


def fingerprint_by_hand(bundle: dict) -> str:
    audio, visual = bundle["audio"], bundle["visual"]
    text = "earshot-bundle 1\n"
    for name in ("audio", "visual", "joint"):
        if name in bundle["graphs"]:
            text += f"{name}.onnx {bundle['graphs'][name]['sha256']}\n"
    text += f"embedding {bundle['embedding']}\naudio {audio['sampleRateHz']} {audio['samples']} {audio['channels']}\n"
    text += f"visual {visual['width']} {visual['height']} {visual['resize']} {visual['framesPerSegment']}\n"
    return hashlib.sha256(text.encode()).hexdigest()


def check_labels(folder: Path, bundle: dict) -> None:
    labels = json.loads((folder / "labels.json").read_text())
    assert bundle["tagging"] is None or [label["index"] for label in labels] == list(range(527))


def check_golden(folder: Path, bundle: dict) -> None:
    golden, audio, visual = json.loads((folder / "golden.json").read_text()), bundle["audio"], bundle["visual"]
    length = golden["audio"]["length"]
    feeds = {
        "audio": {
            "samples": golden_samples(audio["sampleRateHz"], audio["samples"], length)[None],
            "lengths": np.array([length]),
        },
        "visual": {"frames": golden_frame(visual["height"], visual["width"])[None]},
    }
    for name, feed in feeds.items():
        session = open_graph(folder / f"{name}.onnx")
        for output in golden[name].keys() - {"length"}:
            (actual,) = session.run([output], feed)
            assert np.abs(actual[0] - golden[name][output]).max() < golden["atol"]


def check_batches(folder: Path, bundle: dict) -> None:
    """Row alone = row in a batch; tokens average to the embedding; deaf behind `lengths`; 0.1 s works."""
    spec = _Shapes(bundle)
    for name in ("audio", "visual"):
        session = open_graph(folder / f"{name}.onnx")
        feeds = {key: value.numpy() for key, value in example_inputs(name, spec, batch=3, seed=2).items()}
        if name == "audio":
            feeds["lengths"][2] = bundle["audio"]["sampleRateHz"] // 10
        embedding, tokens = session.run(["embedding", "tokens"], feeds)
        assert embedding.shape == (3, bundle["embedding"]) and np.isfinite(tokens).all()
        assert np.allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)
        mean = tokens.mean(axis=1)
        assert np.abs(mean / np.linalg.norm(mean, axis=1, keepdims=True) - embedding).max() < 1e-4
        alone = session.run(["embedding"], {key: value[2:] for key, value in feeds.items()})[0]
        assert np.abs(alone - embedding[2:]).max() < 1e-4
        if name == "audio":
            for row, length in zip(feeds["samples"], feeds["lengths"], strict=True):
                row[length:] = np.nan
            assert np.abs(session.run(["embedding"], feeds)[0] - embedding).max() < 1e-5


class _Shapes:
    """As much of a BundleSpec as example_inputs reads."""

    def __init__(self, bundle: dict):
        self.audio = type("Audio", (), {"samples": bundle["audio"]["samples"]})
        self.visual = type("Visual", (), {"width": bundle["visual"]["width"], "height": bundle["visual"]["height"]})
