import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

from cavmae.bundles.answers import Segments, answers
from cavmae.bundles.export import example_inputs, fingerprint
from cavmae.bundles.export_cavmae import card
from cavmae.bundles.golden import golden_frame, golden_samples
from cavmae.bundles.graph import Graph, export_graph, fused_counts, open_graph
from cavmae.bundles.metadata import count_notes
from cavmae.bundles.precision import SMALLEST, quantize_blocks, reduce_precision, store_half
from cavmae.bundles.real_segments import real_segments
from cavmae.media.shape import SegmentShape
from cavmae.model.encoders import AudioEncoder, VisualEncoder
from cavmae.model.stems import EfficientNetLite

from .conftest import REPOSITORY
from .tiny_bundle import tiny_model, write_tiny_bundle

FIXTURES = REPOSITORY / "test" / "fixtures"
CLIPS = ("guitar_cc0.mp4", "drumroll_cc0.mp4", "drums_africa_pd_photo_tabla_cc0.mp4")
TINY = FIXTURES / "tiny-cavmae"
BUNDLES = [*sorted(path.parent for path in (REPOSITORY / "models").glob("*/bundle.json")), TINY]


@pytest.fixture(scope="module")
def tiny_visual(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "visual.onnx"
    outputs = ("embedding", "tokens", "logits")
    frames = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    export_graph(
        path, Graph(VisualEncoder(tiny_model(tower_depth=2), outputs, missing=True), outputs), {"frames": frames}
    )
    return path


def test_a_bundle_holds_every_kind_of_graph(tmp_path):
    bundle = write_tiny_bundle(tmp_path / "tiny")

    check_bundle(tmp_path / "tiny")
    assert list(bundle["graphs"]) == ["audio", "visual", "joint", "visual_tagging"]
    assert bundle["model"]["precision"] == "fp32" and bundle["tagging"]["from"] == ["joint", "audio", "visual"]
    assert fingerprint(bundle) == fingerprint(bundle | {"graphs": {**bundle["graphs"], "visual_tagging": None}})


def test_a_card_tells_what_was_measured_and_whom_to_name():
    metric = {"name": "R@1", "value": 3.5, "interval": [0.0, 8.8], "data": "57 clips", "note": "measured"}
    bundle = json.loads((TINY / "bundle.json").read_text()) | {"metrics": [metric], "attributions": ["Ada, CC BY 3.0"]}

    text = card(bundle, "Heard birds only.")

    for told in ("Heard birds only.", "| R@1 | 3.5 | 0.0 to 8.8 | 57 clips |", "- Ada, CC BY 3.0", "- dim: "):
        assert told in text
    assert "Measured" not in card(bundle | {"metrics": []}, "")


def test_joint_logits_are_those_of_torch():
    golden, tagger = json.loads((TINY / "golden.json").read_text()), tiny_model(1)
    heard = AudioEncoder(tiny_model(0), ("tower",))
    seen = VisualEncoder(tagger, ("tower",))
    samples = torch.from_numpy(golden_samples(16_000, 15_600, 15_600))[None]

    with torch.no_grad():
        towers = heard(samples, torch.tensor([15_600]))[0], seen(torch.from_numpy(golden_frame(32, 32))[None])[0]
        logits = tagger.classify(tagger.encode_joint(*towers))[0].numpy()

    assert np.abs(logits - golden["joint"]["logits"]).max() < golden["atol"]


def test_attention_norms_and_gelu_of_each_block_fuse(tiny_visual):
    fused = fused_counts(tiny_visual)

    # Two tower blocks; the joint block runs for the picture and, default norms, for the missing sound: four in all.
    assert fused["MultiHeadAttention"] == 4 and fused["BiasGelu"] == 4
    # Two norms a block, two final ones, the head's.
    assert fused["SkipLayerNormalization"] + fused["LayerNormalization"] == 4 * 2 + 2 + 1


@pytest.fixture(scope="module")
def stem(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("stem") / "stem.onnx"
    export_graph(path, Graph(EfficientNetLite(0).features[:2], ("map",)), {"image": torch.randn(2, 3, 64, 64)})
    return path


def test_convolutions_fuse_with_their_activations(stem):
    assert fused_counts(stem) == {"Conv+Clip": 2}


def test_a_graph_says_nothing_of_the_machine_that_made_it(tiny_visual):
    assert str(REPOSITORY).encode() not in tiny_visual.read_bytes()


@pytest.fixture
def tiny(tmp_path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


@pytest.fixture(scope="module")
def segments(tmp_path_factory) -> Segments:
    """Of three clips; one more cannot be read and one is not heard."""
    folder = tmp_path_factory.mktemp("clips")
    for name in (*CLIPS, "bad_truncated.mp4", "odd_no_audio.mp4"):
        shutil.copy(FIXTURES / name, folder)
    return real_segments(folder, SegmentShape.of_bundle(TINY))


@pytest.mark.parametrize(("precision", "kind"), [("fp16", TensorProto.FLOAT16), ("int8", TensorProto.INT8)])
def test_smaller_numbers_answer_as_fp32_does(tiny, segments, precision, kind):
    agreement = reduce_precision(tiny, precision, segments)

    assert agreement["segments"] == len(segments.lengths) == len(CLIPS)
    assert set(agreement["cosine"]) == {
        "audio embedding", "audio logits", "visual embedding", "visual logits", "joint logits",
    }  # fmt: skip
    before, after = answers(TINY, segments), answers(tiny, segments)
    for name in ("audio", "visual"):
        cosines = (before[name]["embedding"] * after[name]["embedding"]).sum(axis=1)
        assert 0.99 < cosines.min() < 1 and cosines.min() == pytest.approx(
            agreement["cosine"][f"{name} embedding"]["least"], abs=1e-4
        )
    assert kind in {weight.data_type for weight in onnx.load(tiny / "joint.onnx").graph.initializer}
    assert frontend_weights(tiny / "audio.onnx") == frontend_weights(TINY / "audio.onnx")
    assert {output.type for output in open_graph(tiny / "audio.onnx").get_outputs()} == {"tensor(float)"}
    assert not any(count_notes(onnx.load(path)) for path in tiny.glob("*.onnx"))


def frontend_weights(path: Path) -> dict[str, bytes]:
    weights = [weight for weight in onnx.load(path).graph.initializer if weight.name.startswith("frontend.")]
    assert weights
    return {weight.name: numpy_helper.to_array(weight).tobytes() for weight in weights}


def test_a_precision_that_answers_differently_is_refused(tiny, segments, monkeypatch):
    monkeypatch.setattr("cavmae.bundles.precision.MIN_COSINE", 1.1)

    with pytest.raises(ValueError, match=r"cosine of 1\.1 to fp32 on each segment.* no bundle was written"):
        reduce_precision(tiny, "int8", segments)


def test_a_precision_needs_real_segments(tmp_path):
    with pytest.raises(ValueError, match="Expected clips or a pack to judge on"):
        write_tiny_bundle(tmp_path / "tiny", precision="fp16")


def test_int8_is_for_transformer_blocks(stem):
    with pytest.raises(ValueError, match="expected transformer blocks"):
        quantize_blocks(stem)


def test_weights_beyond_half_are_refused(tiny):
    model = onnx.load(tiny / "joint.onnx")
    weight = next(weight for weight in model.graph.initializer if np.prod(weight.dims) >= SMALLEST)
    weight.CopyFrom(numpy_helper.from_array(1e6 * numpy_helper.to_array(weight), weight.name))
    onnx.save(model, tiny / "joint.onnx")

    with pytest.raises(ValueError, match="±65504"):
        store_half(tiny / "joint.onnx")


def test_nothing_is_written_when_a_check_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("cavmae.bundles.parity.PARITY_ATOL", -1.0)

    with pytest.raises(AssertionError, match="no bundle was written"):
        write_tiny_bundle(tmp_path / "tiny")

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
    assert bundle["tagging"] is None or [label["index"] for label in labels] == list(range(len(labels)))


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
        for output in golden[name].keys() - {"length"}:
            tagging = f"{name}_tagging" if output == "logits" else name
            session = open_graph(folder / f"{tagging if tagging in bundle['graphs'] else name}.onnx")
            (actual,) = session.run([output], feed)
            assert np.abs(actual[0] - golden[name][output]).max() < golden["atol"]


def bundle_cosine(bundle: dict) -> float:
    """Of a row alone to the row in a batch: int8 scales are those of the whole batch."""
    return 0.999 if bundle["model"].get("precision") == "int8" else 1 - 1e-6


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
        assert (alone * embedding[2:]).sum() > bundle_cosine(bundle)
        if name == "audio":
            for row, length in zip(feeds["samples"], feeds["lengths"], strict=True):
                row[length:] = np.nan
            assert np.abs(session.run(["embedding"], feeds)[0] - embedding).max() < 1e-5


class _Shapes:
    """As much of a BundleSpec as example_inputs reads."""

    def __init__(self, bundle: dict):
        self.audio = type("Audio", (), {"samples": bundle["audio"]["samples"]})
        self.visual = type("Visual", (), {"width": bundle["visual"]["width"], "height": bundle["visual"]["height"]})
