import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cavmae.__main__ import main
from cavmae.bundles.graph import open_graph
from cavmae.bundles.import_cavmae import ImportOptions, import_bundle
from cavmae.model import checkpoint
from cavmae.model.cav_mae import CavMae
from cavmae.model.config import SIZES, CavMaeConfig
from cavmae.model.encoders import AudioEncoder, JointTagger, VisualEncoder
from cavmae.model.published import layout, official, read

from .slow_cavmae import Slow, random_state

BASE = SIZES["base"]
TABLES = {
    "CAVMAE": ("pretrained", BASE),
    "CAVMAEFT_527": ("finetuned", dataclasses.replace(BASE, classes=527, decoder_depth=0)),
    "CAVMAEFT_309": ("finetuned", dataclasses.replace(BASE, classes=309, decoder_depth=0)),
    "CAVMAEFTAudio_527": ("finetuned-audio", dataclasses.replace(BASE, classes=527, decoder_depth=0)),
    "CAVMAESync_4s": ("sync", dataclasses.replace(BASE, kind="sync", frames=416, registers=8)),
}
# The published layouts, narrower and less deep, on the published grids.
NARROW = dataclasses.replace(BASE, dim=128, heads=2, tower_depth=2, decoder_dim=64, decoder_heads=2, decoder_depth=1)
TAGGER = dataclasses.replace(NARROW, classes=5, decoder_dim=0, decoder_heads=0, decoder_depth=0)
# Smaller still, where graphs are written.
SMALL, SMALL_TAGGER = (dataclasses.replace(config, dim=64, heads=1, tower_depth=1) for config in (NARROW, TAGGER))


def published_file(path: Path, kind: str, config: CavMaeConfig, seed: int = 0) -> dict[str, torch.Tensor]:
    state = random_state(layout(kind, config), seed)
    torch.save(state, path)
    return state


def clip(config: CavMaeConfig) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(1, config.frames, config.mel_bins), torch.randn(1, 3, config.image, config.image)


def assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    """At most 1e-4 of the largest value apart."""
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("table", TABLES)
def test_layouts_are_the_authors(reference, table):
    rows = [line.split("\t") for line in (reference / f"state_dict_{table}.tsv").read_text().splitlines()[1:]]

    ours = {name: "x".join(map(str, shape)) for name, shape in layout(*TABLES[table]).items()}

    assert ours == {row[0].removeprefix("module."): row[1] for row in rows}


@pytest.mark.parametrize("table", TABLES)
def test_a_file_of_the_published_shapes_is_told_by_its_tensors(tmp_path, table):
    kind, config = TABLES[table]
    state = {f"module.{name}": torch.zeros(1).expand(shape) for name, shape in layout(kind, config).items()}
    torch.save(state, tmp_path / "published.pth")

    found = read(tmp_path / "published.pth")

    assert found.kind == kind
    sizes = ("dim", "heads", "tower_depth", "joint_depth", "frames", "image", "classes", "registers", "decoder_depth")
    assert [getattr(found.model.config, size) for size in sizes] == [getattr(config, size) for size in sizes]


@pytest.mark.parametrize("loudness", [1.0, 1e-3], ids=["loud", "so quiet that the norms' epsilon shows"])
def test_streams_and_retrieval_of_a_pretrained_file_are_those_of_the_slow_reference(tmp_path, loudness):
    state = random_state(layout("pretrained", NARROW))
    for name in state:
        if name.startswith(("module.patch_embed", "module.pos_embed", "module.modality")):
            state[name] *= loudness
    torch.save(state, tmp_path / "cavmae.pth")
    slow = Slow(state, NARROW.heads)
    fbank, image = clip(NARROW)
    towers = slow.tower(slow.tokens_a(fbank[0]), "a"), slow.tower(slow.tokens_v(image[0]), "v")

    model = read(tmp_path / "cavmae.pth").model
    with torch.no_grad():
        (tokens_a, tower_a), (tokens_v, tower_v) = model.encode_audio(fbank), model.encode_visual(image)
        joint = model.encode_joint(tower_a, tower_v)

    assert_close(tower_a[0], towers[0])
    assert_close(tower_v[0], towers[1])
    assert_close(tokens_a[0], slow.own(towers[0], "a"))
    assert_close(tokens_v[0], slow.own(towers[1], "v"))
    assert_close(joint[0], slow.joint(torch.cat(towers)))
    assert_close(torch.nn.functional.normalize(tokens_a.mean(1))[0], slow.retrieval(towers[0], "a"))
    assert_close(torch.nn.functional.normalize(tokens_v.mean(1))[0], slow.retrieval(towers[1], "v"))


def test_every_mode_of_a_fine_tuned_file_is_that_of_the_slow_reference(tmp_path):
    slow = Slow(published_file(tmp_path / "tagger.pth", "finetuned", TAGGER), TAGGER.heads)
    fbank, image = clip(TAGGER)

    check_modes(slow, read(tmp_path / "tagger.pth").model, fbank, image)


def test_weights_of_the_published_size_give_the_reference_numbers(tmp_path):
    kind, config = TABLES["CAVMAEFT_527"]
    slow = Slow(published_file(tmp_path / "as_ft.pth", kind, config), 12, torch.float32)  # double takes twice as long

    check_modes(slow, read(tmp_path / "as_ft.pth").model, *clip(config))


def check_modes(slow: Slow, model: CavMae, fbank: torch.Tensor, image: torch.Tensor) -> None:
    towers = slow.tower(slow.tokens_a(fbank[0]), "a"), slow.tower(slow.tokens_v(image[0]), "v")

    with torch.no_grad():
        (tokens_a, tower_a), (tokens_v, tower_v) = model.encode_audio(fbank), model.encode_visual(image)
        pairs = [
            (model.classify(model.encode_joint(tower_a, tower_v)), slow.multimodal(*towers)),
            (model.classify(tokens_a), slow.only(towers[0], "a")),
            (model.classify(tokens_v), slow.only(towers[1], "v")),
            (model.classify_missing(tower_a, "a"), slow.missing_other(towers[0], "a")),
            (model.classify_missing(tower_v, "v"), slow.missing_other(towers[1], "v")),
            (torch.nn.functional.normalize(tokens_a.mean(1)), slow.retrieval(towers[0], "a")),
            (torch.nn.functional.normalize(tokens_v.mean(1)), slow.retrieval(towers[1], "v")),
        ]

    for actual, expected in pairs:
        assert_close(actual[0], expected)


def test_the_audio_half_alone_gives_the_reference_logits(tmp_path):
    slow = Slow(published_file(tmp_path / "half.pth", "finetuned-audio", TAGGER), TAGGER.heads)
    fbank, image = clip(TAGGER)

    half = read(tmp_path / "half.pth").model
    with torch.no_grad():
        logits = half.classify(half.encode_audio(fbank)[0])

    assert_close(logits[0], slow.only(slow.tower(slow.tokens_a(fbank[0]), "a"), "a"))
    with pytest.raises(AttributeError):
        half.encode_visual(image)


def test_a_shorter_sound_keeps_the_first_columns_of_every_mel_row(tmp_path):
    state = published_file(tmp_path / "cavmae.pth", "pretrained", NARROW)
    for name in ("module.pos_embed_a", "module.decoder_pos_embed_a"):
        rows = [state[name][:, 64 * f : 64 * f + 25] for f in range(8)]  # 4 s are 398 frames in 25 columns
        state[name] = torch.cat(rows, dim=1)

    model = read(tmp_path / "cavmae.pth", seconds=4.0).model

    assert (model.config.frames, model.grid_a) == (400, (8, 25))
    assert torch.equal(model.pos_embed_a, state["module.pos_embed_a"])
    assert torch.equal(model.decoder_pos_embed_a, state["module.decoder_pos_embed_a"])
    slow, fbank = Slow(state, NARROW.heads), torch.randn(1, 400, 128)
    with torch.no_grad():
        assert_close(model.encode_audio(fbank)[0][0], slow.own(slow.tower(slow.tokens_a(fbank[0]), "a"), "a"))


def test_the_files_own_length_is_kept_to_the_last_column(tmp_path):
    published_file(tmp_path / "cavmae.pth", "pretrained", NARROW)

    assert read(tmp_path / "cavmae.pth", seconds=10.0).model.config.frames == 1024
    with pytest.raises(ValueError, match="400 to 160000 samples"):
        read(tmp_path / "cavmae.pth", seconds=10.5)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("pretrained", NARROW),
        ("finetuned", TAGGER),
        ("sync", dataclasses.replace(NARROW, kind="sync", frames=416, windows=16, registers=8)),
    ],
)
def test_what_is_written_out_is_read_back(tmp_path, kind, config):
    published_file(tmp_path / "theirs.pth", kind, config)
    main(["import", str(tmp_path / "theirs.pth"), "--checkpoint", str(tmp_path / "ours.pt")])
    main(["export-weights", "--checkpoint", str(tmp_path / "ours.pt"), "--out", str(tmp_path / "back.pth")])

    theirs, back = read(tmp_path / "theirs.pth"), read(tmp_path / "back.pth")
    written = torch.load(tmp_path / "back.pth")

    assert back.kind == kind and back.model.config == theirs.model.config
    assert {name: tuple(v.shape) for name, v in written.items()} == {
        f"module.{name}": shape for name, shape in layout(kind, config).items()
    }
    ours = theirs.model.state_dict()
    assert ours.keys() == back.model.state_dict().keys()
    assert all(torch.equal(value, ours[name]) for name, value in back.model.state_dict().items())


def test_only_the_papers_stem_has_a_published_layout():
    with pytest.raises(ValueError, match="patch stems"):
        official(CavMae(dataclasses.replace(SIZES["tiny"], visual_stem="lite0")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("module.norm_a.bias"), "missing: norm_a.bias"),
        (lambda state: state.pop("module.blocks_v.1.norm2_a.weight"), "missing: blocks_v.1.norm2_a.weight"),
        (lambda state: state.update({"module.mlp_head.0.bias": torch.zeros(128)}), "unexpected: mlp_head.0.bias"),
        (lambda state: state.update({"module.norm.bias": torch.zeros(7)}), r"norm.bias \(7,\) for \(128,\)"),
        (lambda state: state.update({"module.pos_embed_a": torch.zeros(1, 511, 128)}), r"pos_embed_a \(1, 511, 128\)"),
        (lambda state: state.pop("module.mask_token"), "Expected the state dict of a CAV-MAE"),
        (lambda state: state.update({"norm.bias": torch.zeros(128)}), "each tensor once"),
        (lambda state: state["module.norm.bias"].fill_(torch.nan), "others among them: norm.bias"),
        (lambda state: state.update({7: torch.zeros(1)}), "names to tensors"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(tmp_path, change, message):
    state = random_state(layout("pretrained", NARROW))
    change(state)
    torch.save(state, tmp_path / "odd.pth")

    with pytest.raises(ValueError, match=message):
        read(tmp_path / "odd.pth")


CLASS_TOKENS = {f"module.cls_token_{name}": torch.ones(1, 1, NARROW.dim) for name in ("a", "v", "av")}


@pytest.mark.parametrize(
    "kept_as",
    [
        lambda state: state | CLASS_TOKENS,  # as a model that was begun from an image MAE is saved
        lambda state: {name.removeprefix("module."): value for name, value in state.items()},
        lambda state: {"model": state, "epoch": 25},
        lambda state: {"state_dict": state, "optimizer": {"param_groups": [{"lr": 1e-4}]}},
    ],
)
def test_a_file_is_read_however_it_was_kept(tmp_path, kept_as):
    state = published_file(tmp_path / "plain.pth", "pretrained", NARROW)
    torch.save(kept_as(state), tmp_path / "kept.pth")

    plain, kept = read(tmp_path / "plain.pth"), read(tmp_path / "kept.pth")

    assert kept.kind == "pretrained" and kept.model.config == plain.model.config
    expected = plain.model.state_dict()
    assert expected.keys() == kept.model.state_dict().keys()
    assert all(torch.equal(value, expected[name]) for name, value in kept.model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_in_half_are_computed_with_in_float32(tmp_path, dtype):
    state = {name: value.to(dtype) for name, value in random_state(layout("pretrained", NARROW)).items()}
    torch.save(state, tmp_path / "half.pth")
    slow, (fbank, image) = Slow(state, NARROW.heads), clip(NARROW)

    model = read(tmp_path / "half.pth").model
    with torch.no_grad():
        audio, visual = model.encode_audio(fbank)[0], model.encode_visual(image)[0]

    assert_close(audio[0], slow.own(slow.tower(slow.tokens_a(fbank[0]), "a"), "a"))
    assert_close(visual[0], slow.own(slow.tower(slow.tokens_v(image[0]), "v"), "v"))


def test_class_tokens_that_are_not_those_three_are_another_models(tmp_path):
    state = random_state(layout("pretrained", NARROW)) | CLASS_TOKENS
    del state["module.cls_token_av"]
    torch.save(state, tmp_path / "sync-like.pth")

    with pytest.raises(ValueError, match="unexpected: cls_token_a, cls_token_v"):
        read(tmp_path / "sync-like.pth")


def test_files_that_are_no_weights_are_refused_and_nothing_in_them_is_run(tmp_path):
    torch.save({"weights": Trap(tmp_path / "sprung")}, tmp_path / "trap.pth")
    checkpoint.save(tmp_path / "ours.pt", CavMae(SIZES["tiny"]), 0)
    (tmp_path / "text.pth").write_text("not weights")

    for name, message in [("trap.pth", "nothing else"), ("ours.pt", "use `export`"), ("text.pth", "nothing else")]:
        with pytest.raises(ValueError, match=f"{name}.*{message}"):
            read(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


class Trap:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("kind", "tuned", "message"),
    [
        ("finetuned", None, "Expected --tuned multimodal, audio, visual"),
        ("pretrained", "audio", "no tagging head"),
        ("finetuned-audio", "visual", "Expected --tuned audio"),
    ],
)
def test_what_the_weights_do_not_tell_must_be_said(tmp_path, kind, tuned, message):
    published_file(tmp_path / "weights.pth", kind, NARROW if kind == "pretrained" else TAGGER)

    with pytest.raises(ValueError, match=message):
        import_bundle(tmp_path / "weights.pth", tmp_path / "bundle", ImportOptions(tuned=tuned))
    assert not (tmp_path / "bundle").exists()


def test_classes_other_than_audiosets_need_their_names(tmp_path):
    published_file(tmp_path / "vgg.pth", "finetuned", dataclasses.replace(TAGGER, classes=309))

    with pytest.raises(ValueError, match="labels 0 to 308 in order, got 0: give --labels"):
        import_bundle(tmp_path / "vgg.pth", tmp_path / "bundle", ImportOptions(tuned="visual"))


@pytest.fixture
def labels(tmp_path) -> Path:
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("index", "mid", "display_name"), *((i, f"m{i}", f"class {i}") for i in range(TAGGER.classes))]
        )
    return tmp_path / "labels.csv"


def test_a_multimodal_file_becomes_a_bundle_that_says_what_torch_says(tmp_path, labels):
    published_file(tmp_path / "tagger.pth", "finetuned", SMALL_TAGGER)
    source, out = str(tmp_path / "tagger.pth"), tmp_path / "bundle"

    main(["import", source, "--out", str(out), "--tuned", "multimodal", "--labels", str(labels)])

    model, bundle = read(tmp_path / "tagger.pth").model, json.loads((out / "bundle.json").read_text())
    assert bundle["tagging"]["from"] == ["joint", "audio", "visual"]
    outputs = ("embedding", "tokens", "logits", "tower")
    check_graph(out, "audio", AudioEncoder(model, outputs, missing=True))
    check_graph(out, "visual", VisualEncoder(model, outputs, missing=True))
    check_graph(out, "joint", JointTagger(model))


def test_one_file_searches_and_another_tags(tmp_path, labels):
    published_file(tmp_path / "search.pth", "pretrained", SMALL, seed=1)
    published_file(tmp_path / "half.pth", "finetuned-audio", SMALL_TAGGER, seed=2)
    source, out = str(tmp_path / "search.pth"), tmp_path / "bundle"

    tagging = ["--tagging", str(tmp_path / "half.pth"), "--labels", str(labels)]
    main(["import", source, "--out", str(out), *tagging, "--seconds", "4"])

    search, half = (read(tmp_path / name, seconds=4.0).model for name in ("search.pth", "half.pth"))
    bundle = json.loads((out / "bundle.json").read_text())
    assert bundle["graphs"].keys() == {"audio", "visual", "audio_tagging"} and bundle["tagging"]["from"] == ["audio"]
    assert bundle["audio"]["samples"] == 64_000
    check_graph(out, "audio", AudioEncoder(search, ("embedding", "tokens")))
    check_graph(out, "audio_tagging", AudioEncoder(half, ("logits",)))


def test_the_audio_half_alone_becomes_a_bundle_that_hears_and_tags(tmp_path, labels):
    published_file(tmp_path / "half.pth", "finetuned-audio", SMALL_TAGGER)
    source, out = str(tmp_path / "half.pth"), tmp_path / "bundle"

    main(["import", source, "--out", str(out), "--labels", str(labels), "--seconds", "4"])

    bundle, golden = (json.loads((out / name).read_text()) for name in ("bundle.json", "golden.json"))
    assert bundle["graphs"].keys() == {"audio"} and bundle["tagging"]["from"] == ["audio"]
    assert golden.keys() == {"atol", "audio"} and golden["audio"].keys() == {"length", "embedding", "logits"}
    model = read(tmp_path / "half.pth", seconds=4.0).model
    check_graph(out, "audio", AudioEncoder(model, ("embedding", "tokens", "logits")))


def test_what_is_to_tag_by_sight_must_see(tmp_path, labels):
    published_file(tmp_path / "half.pth", "finetuned-audio", SMALL_TAGGER)
    published_file(tmp_path / "tagger.pth", "finetuned", SMALL_TAGGER)
    options = ImportOptions(tuned="multimodal", tagging=tmp_path / "tagger.pth", labels=labels)

    with pytest.raises(ValueError, match="search by visual, got the audio half alone"):
        import_bundle(tmp_path / "half.pth", tmp_path / "bundle", options)


def check_graph(folder: Path, name: str, module: torch.nn.Module) -> None:
    """Cosine of every output to torch's, by the files and numbers of the bundle."""
    bundle = json.loads((folder / "bundle.json").read_text())
    if name == "joint":
        inputs = {f"{m}_tower": torch.randn(2, n, bundle["embedding"]) for m, n in (("audio", 512), ("visual", 196))}
    elif name.startswith("audio"):
        samples = 0.1 * torch.randn(2, bundle["audio"]["samples"])
        inputs = {"samples": samples, "lengths": torch.tensor([samples.shape[1], 20_000])}
    else:
        inputs = {"frames": torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)}
    with torch.no_grad():
        expected = module(**inputs)
    graph = open_graph(folder / bundle["graphs"][name]["file"])
    actual = graph.run(None, {key: value.numpy() for key, value in inputs.items()})
    expected = expected if isinstance(expected, tuple) else (expected,)
    for ours, theirs in zip(actual, expected, strict=True):
        a, b = ours.reshape(2, -1), theirs.reshape(2, -1).numpy()
        assert ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1) >= 0.9999).all()
