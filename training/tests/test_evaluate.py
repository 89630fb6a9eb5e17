"""The commands on real files, through a bundle whose weights were drawn by lot: it tells pitches apart already."""

import io
import json
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from cavmae.__main__ import main
from cavmae.bundles.bundle import Encoder
from cavmae.data.clips import list_csv
from cavmae.data.prepare import PrepareOptions, prepare
from cavmae.evaluate.labelled import columns_of, shard_samples
from cavmae.evaluate.probe import PENALTIES, best_penalty, logistic_regression, predict
from cavmae.evaluate.retrieval import ConceptRetrieval, Retrieval
from cavmae.evaluate.tagging import Tagging, softmax, tag, votes
from cavmae.model.cav_mae import audio_frontend, visual_frontend

from .conftest import REPOSITORY
from .lavfi import brightening, make
from .tiny_bundle import tiny_model

BUNDLE = REPOSITORY / "test" / "fixtures" / "tiny-cavmae"
LABELS = [{"mid": "/m/09x0r", "name": "Speech"}, {"mid": "/m/01h8n0", "name": "Conversation"}]  # its first and last


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for number in range(4):
        make(folder / f"clip{number}.mp4", brightening(1.5), f"sine={300 * 2**number}:sample_rate=16000:duration=1.5")
    (folder / "broken.mp4").write_bytes(b"no film")
    return folder


@pytest.fixture(scope="module")
def shards(clips, tmp_path_factory) -> Path:
    """The clips with AudioSet's labels: speech and conversation in turn."""
    folder = tmp_path_factory.mktemp("prepared")
    rows = [f'clip{number}, 0.000, 0.975, "{LABELS[number % 2]["mid"]}"' for number in range(4)]
    (folder / "segments.csv").write_text("\n".join(["# YTID, start_seconds, end_seconds, positive_labels", *rows]))
    prepare(list_csv(folder / "segments.csv", clips), Encoder(BUNDLE).shape, folder, PrepareOptions(workers=1))
    return folder


@pytest.fixture(scope="module")
def pack(tmp_path_factory) -> Path:
    """Low and high tones that go with dark and bright pictures; each sound is of one of the five folds of ESC-50."""
    folder = tmp_path_factory.mktemp("pack")
    sounds, pictures, random = {}, {}, np.random.default_rng(0)
    time = np.arange(20_480) / 16_000
    for number in range(10):
        label, fold = LABELS[number % 2], 1 + number // 2
        about = {
            "source": "made", "licence": "CC0 1.0", "free": True, "split": "val", "original_label": label["name"],
            "concept": label["name"], "audioset": [label["mid"]], "esc_fold": fold,
        }  # fmt: skip
        tone = np.sin(2 * np.pi * (400, 3200)[number % 2] * (1 + 0.02 * random.random()) * time)
        sounds[f"sound{number}"] = (_flac(tone), about | {"key": f"sound{number}", "shard": "sounds.tar"})
        picture = np.full((64, 64, 3), (30, 220)[number % 2] + number, np.uint8)
        pictures[f"picture{number}"] = (_png(picture), about | {"key": f"picture{number}", "shard": "pictures.tar"})
    _write_pile(folder, "sounds", sounds)
    _write_pile(folder, "pictures", pictures)
    return folder


def _flac(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.5 * samples, 16_000, format="FLAC")
    return file.getvalue()


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _write_pile(folder: Path, name: str, items: dict[str, tuple[bytes, dict]]) -> None:
    (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(about) for _, about in items.values()))
    with tarfile.open(folder / f"{name}.tar", "w") as tar:
        for key, (data, _) in items.items():
            member = tarfile.TarInfo(f"{key}.bin")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


# --- retrieval --------------------------------------------------------------------------------------------------------


def values(result) -> dict[str, float]:
    return {metric.name: metric.value for metric in result.metrics()}


def test_perfect_retrieval_is_a_hundred_per_cent():
    metrics = {m.name: m for m in Retrieval("made up", ["a"] * 12, np.eye(12)).metrics()}

    assert metrics["R@1 sound→picture [%]"].value == 100 and metrics["median rank picture→sound"].value == 1
    assert metrics["R@1 sound→picture [%]"].interval == (100, 100) and metrics["MRR picture→sound [%]"].value == 100


def test_the_ways_are_told_apart():
    similarity = np.array([[0.5, 0.9, 0.9], [0.1, 1.0, 0.2], [0.1, 0.2, 1.0]])  # the first sound finds its picture last

    measured = values(Retrieval("made up", ["a", "b", "c"], similarity))

    assert measured["R@1 sound→picture [%]"] == 66.7 and measured["R@1 picture→sound [%]"] == 100
    assert measured["MRR sound→picture [%]"] == 77.8


def test_concepts_weigh_evenly():
    similarity = np.array([[1.0, 0], [1, 0], [1, 0]])

    result = ConceptRetrieval("made up", similarity, np.array(["a", "a", "b"]), np.array(["a", "b"]))

    assert values(result)["concept mAP sound→picture [%]"] == 75
    assert result.precision["sound→picture"] == {"a": 1, "b": 0.5}


def test_a_concept_without_a_partner_is_left_out():
    result = ConceptRetrieval("made up", np.ones((2, 1)), np.array(["a", "b"]), np.array(["a"]))

    assert result.precision == {"sound→picture": {"a": 1.0}, "picture→sound": {"a": 0.5}}


def test_retrieval_writes_a_report_with_its_pictures(clips, pack, tmp_path, capsys):
    report = tmp_path / "deeper" / "report.md"

    main(["evaluate", "retrieval", f"--bundle={BUNDLE}", f"--clips={clips}", f"--pack={pack}", f"--report={report}"])

    out, text = capsys.readouterr().out, report.read_text()
    assert "| R@1 sound→picture [%] |" in out and "clips0, 4 of 5 clips" in out
    assert json.loads((BUNDLE / "bundle.json").read_text())["fingerprint"] in text and f"--clips={clips}" in text
    named = re.findall(r"\((.*?\.png)\)", text)
    assert len(named) == 4 and all(Image.open(report.with_name(name)).size[0] > 500 for name in named)


# --- tagging ----------------------------------------------------------------------------------------------------------


def test_classes_without_a_positive_are_left_out_and_counted():
    truth = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]], bool)
    scores = np.array([[0.9, 0.1, 0.5], [0.1, 0.9, 0.9], [0.2, 0.0, 0.4]])

    tagging = Tagging("audio", "made up", ["a", "b", "c"], scores, truth)

    metrics = {metric.name: metric for metric in tagging.metrics()}
    assert tagging.precision == {"a": 1.0, "b": pytest.approx((1 + 2 / 3) / 2)}
    assert metrics["mAP audio [%]"].value == 91.7 and metrics["AUC audio"].value == 0.75
    assert metrics["mAP audio [%]"].data == "made up, 2 classes, 1 without a positive left out"


def test_repeated_rare_positives_do_not_lift_the_interval():
    random = np.random.default_rng(0)
    truth = random.random((120, 40)) < 0.015
    scores = random.normal(1.5 * truth, 1)

    metric = Tagging("audio", "made up", [str(c) for c in range(40)], scores, truth).metrics()[0]

    low, high = metric.interval
    assert 0.35 < (metric.value - low) / (high - low) < 0.65


def test_a_tie_for_the_first_place_is_no_hit():
    truth, scores = np.eye(2, dtype=bool)[[0, 1, 0]], np.array([[0.9, 0.1], [0.5, 0.5], [0.6, 0.2]])

    assert values(Tagging("audio", "", ["a", "b"], scores, truth))["top-1 audio [%]"] == 66.7
    several = np.array([[1, 1], [0, 1]], bool)
    assert "top-1 audio [%]" not in values(Tagging("audio", "", ["a", "b"], np.eye(2), several))


def test_frames_vote_by_the_mean_of_their_probabilities():
    logits = np.array([[0.0, 0], [np.log(3), 0], [0, np.log(3)], [np.log(9), 0]])

    together, middle = votes(softmax(logits))

    assert together == pytest.approx([(0.5 + 0.75 + 0.25 + 0.9) / 4, (0.5 + 0.25 + 0.75 + 0.1) / 4])
    assert middle == pytest.approx([0.25, 0.75])


def test_labels_meet_by_mid_or_else_by_name():
    theirs = [{"index": 0, "name": "dog"}, {"index": 1, "mid": "/m/09x0r", "name": "talk"}]
    ours = [{"mid": "/m/09x0r", "name": "Speech"}, {"mid": "", "name": "dog"}, {"mid": "/m/1", "name": "cat"}]

    assert columns_of(theirs, ours).tolist() == [1, 0, -1]


def test_every_mode_of_a_joint_bundle_says_what_the_model_says(shards):
    encoder = Encoder(BUNDLE)
    taggings = {t.name: t for t in tag(encoder, shard_samples(encoder, shards, None, 0.05))}

    sample = next(iter(shard_samples(encoder, shards, None, 0.05).samples))
    searcher, tagger = tiny_model(0), tiny_model(1)
    with torch.no_grad():
        sound = audio_frontend(searcher.config)(torch.tensor(sample.sound)[None], torch.tensor([len(sample.sound)]))
        tower_a = searcher.encode_audio(sound)[1]
        tower_v = tagger.encode_visual(visual_frontend(tagger.config)(torch.tensor(sample.frames)))[1]
        joint = tagger.classify(tagger.encode_joint(tower_a.expand(len(tower_v), -1, -1), tower_v)).softmax(-1)
        expected = {"audio": searcher.classify_missing(tower_a, "a").softmax(-1)[0]}
        visual = tagger.classify_missing(tower_v, "v").softmax(-1)
    for mode, frames in (("visual", visual), ("joint", joint)):
        expected |= {f"{mode}, all frames": frames.mean(0), f"{mode}, middle frame": frames[2]}
    assert taggings.keys() == expected.keys() and len(sample.frames) == 4
    for name, scores in expected.items():
        assert taggings[name].scores[0] == pytest.approx(scores.numpy(), abs=1e-4)
        assert taggings[name].truth[:, [0, 4]].tolist() == [[True, False], [False, True]] * 2


def test_a_pack_is_tagged_in_each_mode(pack, capsys):
    main(["evaluate", "tagging", f"--bundle={BUNDLE}", f"--pack={pack}", "--json"])

    metrics = {metric["name"]: metric for metric in json.loads(capsys.readouterr().out)}
    assert {"mAP audio [%]", "AUC joint", "d' visual", "top-1 visual [%]"} <= metrics.keys()
    assert (
        metrics["AUC joint"]["data"] == "pack pack0, val sounds, 10 samples, 2 classes, 3 without a positive left out"
    )


# --- linear probe -----------------------------------------------------------------------------------------------------


def test_logistic_regression_finds_the_minimum():
    x = torch.randn(60, 4, dtype=torch.float64)
    y = (x[:, 0] + 0.5 * torch.randn(60) > 0).long() + (x[:, 1] > 1).long()
    weight, bias = logistic_regression(x, y, penalty=0.01)

    residual = (x @ weight + bias).softmax(1) - torch.nn.functional.one_hot(y)

    assert (x.T @ residual / 60 + 0.01 * weight).abs().max() < 1e-4 and residual.mean(0).abs().max() < 1e-4


def test_the_penalty_is_chosen_by_the_training_folds():
    """Two columns tell the classes, forty are noise: hardly any penalty is too little, the heaviest too much."""
    y = torch.arange(80) % 4
    x = torch.cat([torch.stack([y % 2, y // 2], 1) + 0.4 * torch.randn(80, 2), torch.randn(80, 40)], 1)
    fold = 1 + torch.arange(80) // 20

    penalty = best_penalty(x, y, fold)

    held = {p: _right(x, y, fold, p) for p in PENALTIES}
    assert held[penalty] == max(held.values()) > held[PENALTIES[-1]]


def _right(x, y, fold, penalty) -> int:
    parts = [(predict(x[fold != f], y[fold != f], x[fold == f], penalty) == y[fold == f]).sum() for f in fold.unique()]
    return int(sum(parts))


def test_a_probe_tells_two_pitches_apart(pack, capsys):
    main(
        [
            "evaluate",
            "probe",
            f"--bundle={BUNDLE}",
            f"--pack={pack}",
            "--folds",
            "1",
            "4",
            "--output",
            "tokens",
            "--json",
        ]
    )

    (metric,) = json.loads(capsys.readouterr().out)
    assert metric["value"] == 100 and "4 clips, output tokens" in metric["data"]


def test_an_output_that_the_graph_does_not_give_is_refused(pack):
    with pytest.raises(SystemExit, match="embedding, tokens, logits, tower, got pool"):
        main(["evaluate", "probe", f"--bundle={BUNDLE}", f"--pack={pack}", "--output", "pool"])


def test_a_graph_of_another_bundle_is_refused(tmp_path):
    mixed = shutil.copytree(BUNDLE, tmp_path / "mixed")
    shutil.copy(mixed / "visual_tagging.onnx", mixed / "visual.onnx")

    with pytest.raises(ValueError, match="Expected the visual graph"):
        Encoder(mixed).see(np.zeros((1, 32, 32, 3), np.uint8))
