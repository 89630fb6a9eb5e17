import dataclasses
import io
import json
import re
import subprocess
import tarfile

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from cavmae.data.pack import Pack
from cavmae.data.sources import WeakPairSource, prefetch, segment_shape
from cavmae.media.decode import BadSample, decode_frames, decode_picture, decode_sound
from cavmae.media.ffmpeg import Track, probe
from cavmae.media.hdr import tone_map
from cavmae.media.resample import resample
from cavmae.media.segments import Window, segments
from cavmae.media.shape import SegmentShape
from cavmae.model.cav_mae import audio_frontend
from cavmae.model.config import SIZES
from cavmae.train.kept import KeptPairs
from cavmae.train.task import FrontEnds

from .conftest import REPOSITORY, reference_folder
from .lavfi import BARS, brightening, hdr, make, noise, silence, tone

SHAPE = SegmentShape(16_000, 32_000, "first", 32, 32, "cover", frames=4)  # segments of 2 s


def decibels(wanted: np.ndarray, got: np.ndarray) -> float:
    return 10 * np.log10(np.square(wanted - got).mean() / np.square(wanted).mean())


@pytest.mark.parametrize(("before", "after"), [(48_000, 16_000), (44_100, 16_000), (16_000, 32_000), (8_000, 16_000)])
def test_resampling_is_that_of_ffmpeg(before, after):
    samples = (0.2 * np.random.default_rng(0).standard_normal(before)).astype(np.float32)
    told = ["-f", "f32le", "-ar", str(before), "-ac", "1", "-i", "pipe:0", "-ar", str(after), "-f", "f32le", "pipe:1"]
    done = subprocess.run(["ffmpeg", "-v", "error", *told], input=samples.tobytes(), capture_output=True, check=True)
    wanted = np.frombuffer(done.stdout, np.float32)

    got = resample(samples, before, after)

    middle = slice(after // 10, -after // 10)  # at the ends ffmpeg mirrors the sound
    assert len(got) == len(wanted) == after
    assert decibels(wanted[middle], got[middle]) < -95


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_is_mapped_to_the_colours_of_an_ordinary_screen(tmp_path, transfer):
    plain = make(tmp_path / "plain.mkv", BARS, options=("-c:v", "ffv1"))

    expected, mapped = (
        decode_frames(path, 1, 1.0, (32, 32), "squash").astype(float)
        for path in (plain, hdr(tmp_path / "hdr.mkv", transfer))
    )

    assert np.abs(mapped - expected).mean() < 16  # of 255: highlights are rolled off; unmapped it would be above 35


def test_the_filters_from_hdr_are_the_servers():
    server = (REPOSITORY / "src/media/decode/hdr.ts").read_text()
    constants = {name: re.search(rf"const {name} = ([\d.]+)", server)[1] for name in ("WHITE", "LINEAR_SHARE")}
    returned = server[server.index("return (") :]
    chain = "".join(text for _, text in re.findall(r"(['`])([^'`]*)\1", returned))

    for name, value in {"hdr": "smpte2084", **constants}.items():
        chain = chain.replace(f"${{{name}}}", value)

    assert tone_map(Track(0, 0.0, None, "smpte2084")) == chain


def test_packed_sound_of_an_odd_rate_and_of_no_length(tmp_path):
    odd, nothing = io.BytesIO(), io.BytesIO()
    soundfile.write(odd, 0.5 * np.sin(np.arange(44_101) * 2 * np.pi * 440 / 44_101), 44_101, format="FLAC")
    soundfile.write(nothing, np.zeros(0), 16_000, format="WAV")

    heard = decode_sound(odd.getvalue(), 16_000, 1)

    assert len(heard) == 16_000 and np.abs(np.fft.rfft(heard)).argmax() == 440
    with pytest.raises(BadSample, match="no sound"):
        decode_sound(nothing.getvalue(), 32_000, 1)


def test_packed_opus_is_heard_as_ffmpeg_hears_it(tmp_path):
    path = make(tmp_path / "a.opus", noise(2), options=("-ar", "16000", "-ac", "1", "-b:a", "32k"))
    front = audio_frontend(SIZES["tiny"])

    packed, streamed = decode_sound(path.read_bytes(), 16_000, 10), decode_sound(path, 16_000, 10)

    assert len(packed) == len(streamed) == 32_000
    mels = [front(torch.from_numpy(x.copy())[None], torch.tensor([len(x)]))[0, :190] for x in (packed, streamed)]
    assert (mels[0] - mels[1]).abs().mean() < 0.009  # of one standard deviation


def test_the_packs_own_sounds_are_heard_as_ffmpeg_hears_them():
    reference = reference_folder()
    if reference is None or not (reference.parent / "train").is_dir():
        pytest.skip("no training pack: set EARSHOT_REFERENCE to a folder beside it")
    pack, front = Pack(reference.parent / "train"), audio_frontend(SIZES["tiny"])
    packed = pack.read(pack.sounds[0])

    here = decode_sound(packed, 16_000, 10)
    told = ["-i", "pipe:0", "-ac", "1", "-ar", "16000", "-f", "f32le", "pipe:1"]
    there = subprocess.run(["ffmpeg", "-v", "error", *told], input=packed, capture_output=True, check=True).stdout

    there = np.frombuffer(there, np.float32)
    assert len(here) == len(there)
    rows = len(here) // 160 - 2
    mels = [front(torch.from_numpy(x.copy())[None], torch.tensor([len(x)]))[0, :rows] for x in (here, there)]
    assert (mels[0] - mels[1]).abs().mean() < 0.04


def test_the_first_channel_or_the_mean_of_both(tmp_path):
    left, right = (0.5 * np.sin(np.arange(16_000) * w) for w in (0.1, 0.3))
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([left, right], 1), 16_000, format="FLAC")
    (tmp_path / "a.flac").write_bytes(buffer.getvalue())

    for source in (buffer.getvalue(), tmp_path / "a.flac"):
        assert np.allclose(decode_sound(source, 16_000, 1, "first"), left, atol=1e-4)
        assert np.allclose(decode_sound(source, 16_000, 1, "mean"), (left + right) / 2, atol=1e-4)


def test_what_cannot_be_read_is_a_bad_sample_with_a_reason(tmp_path):
    (tmp_path / "text.mp4").write_text("not a film")
    deaf = make(tmp_path / "deaf.mp4", brightening(1))
    blind = make(tmp_path / "blind.wav", tone(1))

    for reason, attempt in {
        "unreadable": [
            lambda: decode_sound(tmp_path / "text.mp4", 16_000, 1),
            lambda: decode_sound(b"not a sound", 16_000, 1),
            lambda: decode_picture(b"not a picture", (8, 8)),
        ],
        "no_sound": [lambda: decode_sound(deaf, 16_000, 1)],
        "no_frames": [lambda: decode_frames(blind, 4, 1, (8, 8), "cover")],
    }.items():
        for decode in attempt:
            with pytest.raises(BadSample) as caught:
                decode()
            assert caught.value.reason == reason


def test_a_photograph_stands_upright():
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(np.repeat(np.array([[255], [0]], np.uint8), 8, 0).repeat(8, 1)).save(buffer, "PNG", exif=exif)

    picture = decode_picture(buffer.getvalue(), (8, 8), "squash")

    assert picture[:, :3].max() == 0 and picture[:, -3:].min() == 255  # what was on top is now on the right


def test_trimming_cuts_what_is_longer_than_4_to_3_off_films_and_pictures_alike(tmp_path):
    shown = np.full((90, 160, 3), (255, 0, 0), np.uint8)
    shown[:, 20:140] = (0, 0, 255)  # the middle 120 of 160 columns are within 4:3
    Image.fromarray(shown).save(tmp_path / "wide.png")
    Image.fromarray(shown.transpose(1, 0, 2)).save(tmp_path / "tall.png")

    for name in ("wide.png", "tall.png"):
        picture = decode_picture(tmp_path / name, (32, 32), "trim")
        film = decode_frames(tmp_path / name, 1, 1.0, (32, 32), "trim")[0]

        assert np.abs(picture[2:-2, 2:-2].astype(int) - (0, 0, 255)).max() < 20
        assert np.abs(picture[2:-2, 2:-2].astype(int) - film[2:-2, 2:-2]).max() < 20
    assert decode_picture(tmp_path / "wide.png", (32, 32), "squash")[16, 2, 0] > 200


def test_a_small_picture_is_scaled_as_ffmpeg_scales_frames(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "small.png")

    picture = decode_picture(tmp_path / "small.png", (56, 56), "trim")
    frame = decode_frames(tmp_path / "small.png", 1, 1.0, (56, 56), "trim")[0]

    assert np.abs(picture.astype(int) - frame).max() <= 2


def test_segments_hold_the_whole_sound_and_frames_from_the_middles_of_equal_parts(tmp_path):
    path = make(tmp_path / "a.mkv", brightening(5), noise(5), options=("-c:v", "ffv1", "-c:a", "flac"))

    parts = list(segments(path, probe(path), SHAPE))

    assert [(p.start, p.seconds) for p in parts] == [(0, 2), (2, 2), (4, 1)]
    assert np.array_equal(np.concatenate([p.sound for p in parts]), decode_sound(path, 16_000, 10, "first"))
    for part in parts[:2]:
        assert part.frames.times.tolist() == [0.25, 0.75, 1.25, 1.75]
        brightness = part.frames.pixels.mean(axis=(1, 2, 3)) * 219 / 255 + 16  # back to luma
        shown = np.floor((part.start + part.frames.times) * 10) / 10  # ten frames a second
        assert np.abs(brightness - (30 + 20 * shown)).max() < 2


def test_a_range_of_a_file_is_what_its_segment_is_made_of(tmp_path):
    path = make(tmp_path / "a.mkv", brightening(6), noise(6), options=("-c:v", "ffv1", "-c:a", "flac"))

    (part,) = segments(path, probe(path), SHAPE, Window(3.0, 5.0))

    assert (part.start, part.seconds) == (3.0, 2.0)
    assert np.allclose(part.sound, decode_sound(path, 16_000, 10, "first")[48_000:80_000], atol=1e-4)
    assert part.frames.pixels[0].mean() * 219 / 255 + 16 == pytest.approx(30 + 20 * 3.2, abs=2)
    with pytest.raises(BadSample, match=r"ends at 6\.0 s") as caught:
        list(segments(path, probe(path), SHAPE, Window(7.0, 9.0)))
    assert caught.value.reason == "outside"


def test_silence_and_one_flat_colour_are_told(tmp_path):
    path = make(tmp_path / "a.mp4", "color=red:s=64x48:r=5:d=2", silence(2))

    (part,) = segments(path, probe(path), SHAPE)

    assert part.silent and part.frames.blank


def weak_pack(folder) -> Pack:
    """Four concepts of one tone and one colour each, one of the pictures broken."""
    sounds, pictures = [], []
    with tarfile.open(folder / "sounds.tar", "w") as heard, tarfile.open(folder / "pictures.tar", "w") as seen:
        for number, concept in enumerate(("dog", "cat", "rain", "harp")):
            sound, picture = io.BytesIO(), io.BytesIO()
            soundfile.write(sound, 0.1 * np.sin(np.arange(8000) * (0.1 + number / 10)), 16_000, format="FLAC")
            Image.new("RGB", (40, 30), (60 * number, 0, 0)).save(picture, "PNG")
            row = {"source": "made", "licence": "CC0", "free": True, "concept": concept, "original_label": concept}
            row |= {"split": "train", "audioset": ["/m/09x0r"]}
            for tar, rows, name, data in (
                (heard, sounds, "sounds", sound.getvalue()),
                (seen, pictures, "pictures", picture.getvalue()),
                (seen, pictures, "pictures", b"broken" if number else None),
            ):
                if data is not None:
                    key = f"{concept}{len(rows)}"
                    member = tarfile.TarInfo(f"{key}.bin")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
                    rows.append(row | {"key": key, "shard": f"{name}.tar"})
    for name, rows in (("sounds", sounds), ("pictures", pictures)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Pack(folder)


def test_a_batch_of_weak_pairs_is_the_same_however_it_is_cut(tmp_path):
    source = WeakPairSource(weak_pack(tmp_path), SHAPE, batch=8, seed=3)
    whole = [source.batch(step, slice(None)) for step in range(4)]

    again = WeakPairSource(source.pack, SHAPE, batch=8, seed=3)
    halves = [[again.batch(step, rows) for rows in (slice(0, 3), slice(3, 8))] for step in reversed(range(4))][::-1]

    for batch, parts in zip(whole, halves, strict=True):
        for name in ("samples", "lengths", "frames", "seen", "labels", "groups"):
            assert torch.equal(getattr(batch, name), torch.cat([getattr(part, name) for part in parts]))
    assert not torch.equal(whole[0].samples, whole[1].samples)
    assert torch.equal(whole[0].groups[:, None] == whole[0].groups, same_rows(whole[0].frames[:, 0, 0, 0, 0]))
    assert source.skips.reasons.keys() == {"unreadable"} and len(source.skips) > 0
    assert not torch.equal(WeakPairSource(source.pack, SHAPE, 8, 4).batch(0, slice(None)).samples, whole[0].samples)


def same_rows(colour: torch.Tensor) -> torch.Tensor:
    return colour[:, None] == colour


def test_weak_pairs_have_one_picture_for_all_moments_and_zeros_behind_the_sound(tmp_path):
    batch = WeakPairSource(weak_pack(tmp_path), SHAPE, batch=4, seed=0).batch(0, slice(None))

    assert batch.samples.shape == (4, 32_000) and batch.frames.shape == (4, 4, 32, 32, 3)
    assert batch.lengths.tolist() == [8000] * 4 and batch.seen.all() and batch.labels[:, 0].all()
    assert not batch.samples[:, 8000:].any() and (batch.frames == batch.frames[:, :1]).all()
    tones = torch.fft.rfft(batch.samples[:, :8000]).abs().argmax(1) / 8000 * 2 * torch.pi
    assert torch.allclose(
        batch.frames[:, 0, 0, 0, 0] / 60, (tones - 0.1) * 10, atol=0.02
    )  # sound and colour of one thing


def test_what_is_kept_is_what_the_front_end_makes_and_is_made_once(tmp_path, monkeypatch):
    pack, config = weak_pack(tmp_path), dataclasses.replace(SIZES["tiny"], frames=64, seconds=0.64, image=32)

    first = KeptPairs(pack, config, tmp_path / "kept", batch=8, seed=3).batch(0, slice(None))

    plain = WeakPairSource(pack, segment_shape(config), batch=8, seed=3).batch(0, slice(None))
    spectrogram = FrontEnds(config).audio(plain.samples, plain.lengths)
    assert torch.allclose(first.fbank, spectrogram, atol=2e-3) and spectrogram.std() > 0.5
    for name in ("frames", "seen", "labels", "groups"):
        assert torch.equal(getattr(first, name), getattr(plain, name))

    def refuse(item):
        raise BadSample(f"{item.key} is read again")

    monkeypatch.setattr(pack, "read", refuse)
    again = KeptPairs(pack, config, tmp_path / "kept", batch=8, seed=3).batch(0, slice(None))
    assert torch.equal(first.fbank, again.fbank) and torch.equal(first.frames, again.frames)


def test_prefetching_changes_no_batch(tmp_path):
    source = WeakPairSource(weak_pack(tmp_path), SHAPE, batch=4, seed=0)

    ahead = list(prefetch(source, range(7), slice(1, 3), workers=3))

    assert len(ahead) == 7
    for step, batch in enumerate(ahead):
        assert torch.equal(batch.samples, source.batch(step, slice(1, 3)).samples)


def test_a_source_of_bad_samples_only_says_so(tmp_path):
    pack = weak_pack(tmp_path)
    pack.pictures = [item for item in pack.pictures if item.key in ("cat2", "rain4", "harp6")]

    with pytest.raises(ValueError, match="100 unreadable"):
        WeakPairSource(pack, SHAPE, batch=1, seed=0).batch(0, slice(None))
