import fcntl
import hashlib
import io
import json
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from cavmae.__main__ import main
from cavmae.data.audioset import column_of_mid
from cavmae.data.clips import list_csv, list_folder
from cavmae.data.prepare import PrepareOptions, prepare
from cavmae.data.shards import Shards
from cavmae.data.sources import ShardSource
from cavmae.media.shape import SegmentShape

from .lavfi import brightening, hdr, make, noise, silence, tone

SHAPE = SegmentShape(16_000, 32_000, "first", 32, 32, "cover", frames=4)  # segments of 2 s
ONE = PrepareOptions(workers=1, shard_megabytes=1)
SPEECH, DOG = "/m/09x0r", "/m/0bt9lr"


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    """A folder as people have them."""
    folder = tmp_path_factory.mktemp("media")
    (folder / "deeper").mkdir()
    make(folder / "deeper" / "long film.mp4", brightening(5), noise(5))
    make(folder / "short.mp4", brightening(1), tone(1))
    make(folder / "soundless.mp4", brightening(2))
    make(folder / "silent.mp4", brightening(2), silence(2))
    make(folder / "sound.opus", tone(2))
    make(folder / "black.mp4", "color=black:s=64x48:r=5:d=2", silence(2))
    Image.fromarray(np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)).save(folder / "still.png")
    (folder / "broken.mp4").write_bytes(b"no film at all" * 100)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "notes.txt").write_text("not media")
    return folder


@pytest.fixture(scope="module")
def prepared(media, tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("shards")
    return out, prepare(list_folder(media), SHAPE, out, ONE)


def facts_of(out: Path) -> list[dict]:
    return [json.loads(line) for path in sorted(out.glob("*.jsonl")) if "shard" in path.name for line in path.open()]


def of_source(out: Path, source: str) -> list[dict]:
    return [facts for facts in facts_of(out) if facts["source"] == source]


def skipped(out: Path) -> dict[str, str]:
    return {row["source"]: row["reason"] for row in map(json.loads, (out / "skipped.jsonl").open())}


def digests(out: Path) -> dict[str, str]:
    """What is stored of each sample."""
    shards = Shards(out)
    stored = [shards.read(number) for number in range(len(shards))]
    return {s.facts["key"]: hashlib.sha1(b"".join([s.sound or b"", *s.frames])).hexdigest() for s in stored}


def test_shards_are_plain_tars_of_the_webdataset_layout(prepared):
    out, _ = prepared
    seen = []

    for path in sorted(out.glob("shard-*.tar")):
        with tarfile.open(path) as tar:
            for key, members in groupby(tar, lambda member: member.name.split(".", 1)[0]):
                files = {member.name.removeprefix(f"{key}."): tar.extractfile(member).read() for member in members}
                facts = json.loads(files.pop("json"))
                assert facts["key"] == key and facts["has_sound"] == ("flac" in files)
                if "flac" in files:
                    samples, rate = soundfile.read(io.BytesIO(files.pop("flac")))
                    assert rate == 16_000 and len(samples) == pytest.approx(16_000 * facts["seconds"], abs=2000)
                assert list(files) == [f"{i}.jpg" for i in range(len(facts["times"]))]
                assert all(Image.open(io.BytesIO(frame)).size == (32, 32) for frame in files.values())
                seen.append(key)

    assert seen == [facts["key"] for facts in facts_of(out)] and len(set(seen)) == len(seen)


def test_long_files_are_cut_and_halves_are_kept(prepared):
    out, _ = prepared

    film = of_source(out, "deeper/long film.mp4")
    assert [(f["start"], round(f["seconds"]), len(f["times"])) for f in film] == [(0, 2, 4), (2, 2, 4), (4, 1, 2)]
    assert [f["end"] for f in film] == [None, None, {"damage": None, "empty_segments": 0, "hdr_not_mapped": False}]
    halves = {f["source"]: (f["has_sound"], f["has_picture"], f["silent"]) for f in facts_of(out)}
    assert halves["soundless.mp4"] == (False, True, False)
    assert halves["silent.mp4"] == (False, True, True)
    assert halves["sound.opus"] == (True, False, False)
    assert halves["still.png"] == (False, True, False)


def test_what_cannot_be_used_is_counted_by_reason(prepared):
    out, summary = prepared

    assert skipped(out) == {"black.mp4": "empty", "broken.mp4": "unreadable", "empty.wav": "unreadable"}
    assert summary == json.loads((out / "summary.json").read_text())
    assert summary["clips"] == {
        "listed": 9, "prepared": 6, "damaged": {}, "hdr_not_mapped": 0, "skipped": {"empty": 1, "unreadable": 2},
    }  # fmt: skip
    assert summary["segments"] == {
        "stored": 8, "with_sound": 5, "with_picture": 7, "silent": 1, "blank": 0, "empty": 0,
    }  # fmt: skip
    assert summary["ignored_files"] == 1


def test_what_is_stored_is_what_the_file_holds(media, prepared):
    out, _ = prepared
    source = ShardSource(out, SHAPE, batch=3, seed=0)  # the film's three segments and the short one are whole
    batches = [source.batch(step, slice(None)) for step in range(4)]

    assert len(source) == 4
    heard = [torch.fft.rfft(sound[:16_000]).abs().argmax().item() for batch in batches for sound in batch.samples]
    assert heard.count(440) == 3  # of three epochs
    rising = np.concatenate([b.frames.float().mean(dim=(2, 3, 4)).numpy() for b in batches])
    assert (np.diff(rising, axis=1) >= -1).all() and np.ptp(rising) > 50  # frames in order of time


def test_a_file_that_breaks_off_is_kept_up_to_there(media, tmp_path):
    film = make(tmp_path / "film.mkv", brightening(20), noise(20), options=("-c:v", "ffv1", "-c:a", "flac"))
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])

    prepare(list_folder(tmp_path), SHAPE, tmp_path / "out", ONE)

    kept = of_source(tmp_path / "out", "film.mkv")
    assert 3 <= len(kept) <= 6 and all(f["has_sound"] and f["has_picture"] for f in kept)
    assert kept[-1]["end"]["damage"] == "broken"
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["clips"]["damaged"] == {"broken": 1}


@pytest.mark.parametrize("harm", ["cut", "noise"])
def test_damage_that_ffmpeg_gets_over_is_counted(tmp_path, harm):
    film = make(tmp_path / "film.mp4", brightening(20), noise(20), options=("-movflags", "+faststart"))
    data = bytearray(film.read_bytes())
    middle = slice(len(data) // 2, len(data) // 2 + len(data) // 5)
    data[middle] = np.random.default_rng(0).bytes(middle.stop - middle.start)
    film.write_bytes(data if harm == "noise" else data[: middle.start])

    summary = prepare(list_folder(tmp_path), SHAPE, tmp_path / "out", ONE)

    assert summary["clips"]["damaged"] == {"broken": 1} and summary["segments"]["stored"] >= 3


@pytest.mark.parametrize("mapped", [True, False])
def test_hdr_is_counted_where_it_cannot_be_mapped(tmp_path, monkeypatch, mapped):
    (tmp_path / "media").mkdir()
    hdr(tmp_path / "media/a.mkv", "smpte2084")
    monkeypatch.setattr("cavmae.data.prepare.can_tone_map", lambda: mapped)

    summary = prepare(list_folder(tmp_path / "media"), SHAPE, tmp_path / "shards")

    assert (summary["clips"]["prepared"], summary["clips"]["hdr_not_mapped"]) == (1, int(not mapped))
    again = prepare(list_folder(tmp_path / "media"), SHAPE, tmp_path / "shards")
    assert again == summary


def test_neither_workers_nor_order_change_a_sample_or_a_batch(media, prepared, tmp_path):
    listing = list_folder(media)
    backwards = replace(listing, clips=listing.clips[::-1])
    prepare(backwards, SHAPE, tmp_path, PrepareOptions(workers=3, shard_megabytes=1))

    assert digests(tmp_path) == digests(prepared[0])
    ours, theirs = (ShardSource(out, SHAPE, 4, 7).batch(3, slice(None)) for out in (tmp_path, prepared[0]))
    assert torch.equal(ours.samples, theirs.samples) and torch.equal(ours.frames, theirs.frames)


def audioset(folder: Path, rows: list[str]) -> Path:
    table = folder / "segments.csv"
    head = ["# Segments csv created Sun Mar 5", "# YTID, start_seconds, end_seconds, positive_labels"]
    table.write_text("\n".join([*head, *rows]) + "\n")
    return table


def test_clips_of_audioset_are_found_and_cut(tmp_path):
    media = tmp_path / "media"
    media.mkdir()
    make(media / "whole-video.mp4", brightening(9), noise(9))
    make(media / "-cut_by_4000_6000.mp4", brightening(2), tone(2))
    make(media / "only_name.mp4", brightening(2), tone(2))
    labels = f'"{SPEECH},{DOG}"'
    names = ["whole-video, 5.000, 7.000", "-cut_by, 4.000, 6.000", "only_name, 30.000, 32.000", "gone, 0.000, 2.000"]
    table = audioset(tmp_path, [f"{name}, {labels}" for name in names])

    summary = prepare(list_csv(table, media), SHAPE, tmp_path / "out", ONE)

    kept = {f["source"]: (f["recording"], f["start"], f["seconds"]) for f in facts_of(tmp_path / "out")}
    assert kept == {
        "whole-video_5": ("whole-video", 5.0, 2.0),
        "-cut_by_4": ("-cut_by", 0.0, 2.0),
        "only_name_30": ("only_name", 0.0, 2.0),
    }
    assert skipped(tmp_path / "out") == {"gone_0": "missing"} == {"gone_0": next(iter(summary["clips"]["skipped"]))}
    batch = ShardSource(tmp_path / "out", SHAPE, 3, 0).batch(0, slice(None))
    assert batch.labels.shape == (3, 527) and (batch.labels.sum(1) == 2).all() and batch.labels[:, 0].all()

    make(media / "gone_0.mp4", brightening(2), tone(2))
    summary = prepare(list_csv(table, media), SHAPE, tmp_path / "out", ONE)

    assert summary["clips"] == {"listed": 4, "prepared": 4, "damaged": {}, "hdr_not_mapped": 0, "skipped": {}}


def test_clips_of_vggsound_bring_classes_and_a_split(tmp_path):
    for name in ("ab_000003", "cd_000040", "ef_000000"):
        make(tmp_path / f"{name}.mp4", brightening(2), tone(2))
    table = tmp_path / "vggsound.csv"
    table.write_text('ab,3,"wind, rustling",train\ncd,40,barking,test\nef,0,barking,train\n')

    prepare(list_csv(table, tmp_path), SHAPE, tmp_path / "out", ONE)

    tested, trained = (ShardSource(tmp_path / "out", SHAPE, 2, 0, split, val_share=0.0) for split in ("test", "train"))
    assert [label["name"] for label in tested.labels] == ["barking", "wind, rustling"]
    assert (len(tested), len(trained)) == (1, 2)
    assert tested.batch(0, slice(0, 1)).labels.tolist() == [[1, 0]]
    assert trained.batch(0, slice(None)).labels.sum(0).tolist() == [1, 1]


@pytest.mark.parametrize(
    "row",
    [
        'a, 0.0, 10.0, "/m/nonsense"',
        "a, 10.0, 0.0, /m/09x0r",
        "a, 0.0, 10.0",
        "a, nan, 10.0, /m/09x0r",
        "a, 0.0, inf, /m/09x0r",
        "a, -5.0, 5.0, /m/09x0r",
    ],
)
def test_a_row_that_makes_no_sense_stops_the_run_early(tmp_path, row):
    table = audioset(tmp_path, ["b, 0.0, 10.0, /m/09x0r", row])

    with pytest.raises(ValueError, match=r"in line 4 of .*segments\.csv"):
        list_csv(table, tmp_path)


LONG = replace(SHAPE, samples=160_000)
KILLED = """
import sys
from pathlib import Path
from cavmae.data.clips import list_folder
from cavmae.data.prepare import PrepareOptions, prepare
from cavmae.media.shape import SegmentShape
shape = SegmentShape(16_000, 160_000, "first", 32, 32, "cover", frames=4)
prepare(list_folder(Path(sys.argv[1])), shape, Path(sys.argv[2]), PrepareOptions(workers=2, shard_megabytes=1))
"""


def test_a_run_that_is_killed_goes_on_without_loss_or_repetition(tmp_path):
    media, out = tmp_path / "media", tmp_path / "out"
    media.mkdir()
    for number in range(4):  # 0.3 MB of noise every ten seconds: a clip ends in another shard than it began in
        make(media / f"{number}.flac", f"anoisesrc=duration=35:sample_rate=16000:seed={number}")
    (media / "broken.wav").write_bytes(b"nothing")
    command = [sys.executable, "-c", KILLED, str(media), str(out)]

    for wanted in ("shard-000000.jsonl", "shard-000002.jsonl"):
        run = subprocess.Popen(command)
        deadline = time.monotonic() + 120
        while not (out / wanted).exists() and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert run.poll() is None, "the run ended before it could be killed"
        run.send_signal(signal.SIGKILL)
        run.wait()
    begun = len(facts_of(out))
    (out / "skipped.jsonl").open("a").write('{"key": "cut sho')

    ours = prepare(list_folder(media), LONG, out, ONE)

    whole = prepare(list_folder(media), LONG, tmp_path / "whole", ONE)
    assert Counter(f["key"] for f in facts_of(out)).most_common(1)[0][1] == 1
    assert 0 < begun < len(facts_of(out)) == 16
    assert digests(out) == digests(tmp_path / "whole")
    assert skipped(out) == skipped(tmp_path / "whole") == {"broken.wav": "unreadable"}
    assert not list(out.glob("*.partial"))
    assert ours == whole


def test_the_command_prepares_what_a_bundle_takes(tmp_path, capsys):
    (tmp_path / "media").mkdir()
    make(tmp_path / "media" / "tone.flac", tone(1))
    inputs = {"sampleRateHz": 8000, "samples": 16_000, "channels": "mean"}
    pixels = {"height": 24, "width": 32, "resize": "squash", "framesPerSegment": 3}
    (tmp_path / "bundle.json").write_text(json.dumps({"audio": inputs, "visual": pixels}))

    out = tmp_path / "out"
    main(["prepare", str(tmp_path / "media"), "--out", str(out), "--bundle", str(tmp_path), "--frames", "2"])

    assert json.loads(capsys.readouterr().out)["segments"]["stored"] == 1
    assert Shards(out).spec.shape == SegmentShape(8000, 16_000, "mean", 24, 32, "squash", frames=2)


def test_a_second_run_into_one_folder_is_refused(media, tmp_path):
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="Expected no other run"):
            prepare(list_folder(media), SHAPE, tmp_path, ONE)


def test_samples_of_two_shapes_never_meet(media, prepared):
    out, _ = prepared

    with pytest.raises(ValueError, match="Expected the shape that"):
        prepare(list_folder(media), replace(SHAPE, frames=5), out, ONE)
    for wanted in (replace(SHAPE, frames=5), replace(SHAPE, sample_rate=32_000, samples=64_000)):
        with pytest.raises(ValueError, match="prepare them again"):
            ShardSource(out, wanted, 4, 0)


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """Shards of forty recordings with two clips each, labelled unevenly: stills, which are quick to prepare."""
    folder, rows, random = tmp_path_factory.mktemp("library"), [], np.random.default_rng(0)
    for number in range(40):
        for start in (0, 4):
            noisy = Image.fromarray(random.integers(0, 255, (32, 32, 3), np.uint8))
            noisy.save(folder / f"clip{number:02d}_{start}.png")
            rows.append(f"clip{number:02d}, {start}.0, {start + 2}.0, {DOG if number < 4 else SPEECH}")
    prepare(list_csv(audioset(folder, rows), folder), SHAPE, folder / "out", ONE)
    return folder / "out"


def stills(library: Path, batch: int, **options) -> ShardSource:
    return ShardSource(library, SHAPE, batch, 5, needs=("visual",), **options)


def test_a_batch_of_shards_is_the_same_however_it_is_cut(library):
    whole, again = stills(library, 16), stills(library, 16)

    for step in (9, 0, 4):  # five steps are an epoch
        parts = [again.batch(step, rows) for rows in (slice(5, 16), slice(0, 5))][::-1]
        for name, value in vars(whole.batch(step, slice(None))).items():
            if name != "fbank":  # None here: sounds are samples
                assert torch.equal(value, torch.cat([getattr(part, name) for part in parts]))


def test_an_epoch_holds_each_sample_once_in_an_order_of_its_own(library):
    source = stills(library, 16)
    epochs = [torch.cat([source.batch(step, slice(None)).frames for step in range(n, n + 5)]) for n in (0, 5)]

    orders = [[hashlib.sha1(row.numpy().tobytes()).hexdigest() for row in epoch] for epoch in epochs]

    assert len(source) == 80 and len(set(orders[0])) == 80
    assert set(orders[0]) == set(orders[1]) and orders[0] != orders[1]


def test_no_recording_is_on_both_sides_of_the_split(library):
    shards = Shards(library)
    sides = {split: np.flatnonzero(shards.split(split, 0.25)) for split in ("train", "val")}

    recordings = {split: {shards.read(n).facts["recording"] for n in numbers} for split, numbers in sides.items()}

    assert not recordings["train"] & recordings["val"]
    assert len(recordings["train"] | recordings["val"]) == 40 and 4 <= len(recordings["val"]) <= 16
    assert len(sides["train"]) + len(sides["val"]) == 80 and len(stills(library, 1, split="val", val_share=0.25)) >= 8


def test_balanced_batches_draw_rare_classes_as_often(library):
    assert np.allclose(Shards(library).balancing_weights(), [1000 / (8.01 if n < 8 else 72.01) for n in range(80)])
    dog = column_of_mid()[DOG]

    balanced = stills(library, 400, balanced=True).batch(0, slice(None)).labels

    assert stills(library, 80).batch(0, slice(None)).labels[:, dog].mean() == pytest.approx(0.1)
    assert balanced[:, dog].mean() == pytest.approx(0.5, abs=0.08)


def test_a_stored_sample_that_went_bad_is_replaced_and_counted(library, tmp_path):
    for path in library.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    bad = facts_of(tmp_path)[0]
    shard = tmp_path / "shard-000000.tar"
    damaged = bytearray(shard.read_bytes())
    damaged[bad["offset"] + 512 : bad["offset"] + 512 + bad["bytes"][0]] = bytes(bad["bytes"][0])
    shard.write_bytes(damaged)
    source = stills(tmp_path, 80)

    batch = source.batch(0, slice(None))

    assert source.skips.reasons == {"unreadable": 1}
    assert batch.seen.all() and batch.frames.flatten(1).amax(1).all()


def test_one_modality_may_be_missing_where_it_is_not_needed(prepared):
    out, _ = prepared
    assert [len(ShardSource(out, SHAPE, 2, 0, needs=needs)) for needs in (("audio",), ("visual",), ())] == [5, 7, 8]

    batch = ShardSource(out, SHAPE, 8, 0, needs=()).batch(0, slice(None))

    assert int((batch.lengths == 0).sum()) == 3 and int((~batch.seen).sum()) == 1
    assert not batch.frames[~batch.seen].any() and not batch.samples[batch.lengths == 0].any()
    assert batch.labels.shape == (8, 0)
    with pytest.raises(ValueError, match="labels to balance by"):
        ShardSource(out, SHAPE, 8, 0, balanced=True)


def test_one_frame_is_drawn_from_all_of_a_segment(prepared):
    out, _ = prepared
    source = ShardSource(out, replace(SHAPE, frames=1), 4, 0)

    shown = [source.batch(step, slice(None)).frames.float().mean(dim=(1, 2, 3, 4)) for step in range(8)]

    assert len({round(value) for batch in shown for value in batch.tolist()}) > 8  # of four segments
