"""Files and packed bytes into arrays. What cannot be read raises `BadSample`."""

import io
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image, ImageOps, UnidentifiedImageError

from .ffmpeg import BadSample, name_of, probe, read_all
from .resample import is_simple, resample
from .segments import Window, frame_parts, mono_options, sound_parts, tidy
from .shape import FrameShape, SoundShape, kept_shapes

OPUS_RATE = 48_000  # Hz, at which ffmpeg decodes all Opus, whatever it was made from


def decode_sound(source: bytes | Path, rate: int, seconds: float, channels: str = "mean") -> np.ndarray:
    """Mono float32 in [-1, 1] of the first `seconds`.                                    [n]"""
    shape = SoundShape(rate, round(rate * seconds), channels)
    samples = _packed_sound(source, shape) if isinstance(source, bytes) else _sound_of_file(source, shape)
    if samples is None or len(samples) == 0:
        raise BadSample(f"no sound in {name_of(source)}", "no_sound")
    return tidy(samples, name_of(source))


def decode_frames(path: Path, count: int, seconds: float, size: tuple[int, int], resize: str) -> np.ndarray:
    """Frames from the middles of `count` equal parts of the first `seconds`, or of the video if that is shorter.

    uint8 [F, H, W, 3], F <= count
    """
    track = probe(path).picture
    parts = frame_parts(path, track, FrameShape(count, seconds, *size, resize), Window(0, seconds)) if track else ()
    frames = next(iter(parts), None)
    if frames is None or len(frames.pixels) == 0:
        raise BadSample(f"no frames in {path.name}", "no_frames")
    return frames.pixels


def decode_picture(source: bytes | Path, size: tuple[int, int], resize: str = "squash") -> np.ndarray:
    """Scaled as ffmpeg scales frames.                                                     uint8 [H, W, 3]"""
    try:
        opened = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as cause:
        raise BadSample(f"unreadable picture {name_of(source)}") from cause
    height, width = size
    kept = _kept(picture.size, *kept_shapes(resize, width, height))
    return np.asarray(picture.resize((width, height), Image.BILINEAR, kept))


def _kept(size: tuple[int, int], tallest: float, widest: float) -> tuple[float, float, float, float]:
    """The centre of a picture: left, top, right, bottom."""
    width, height = size
    w, h = min(width, height * widest), min(height, width / tallest if tallest else height)
    return (width - w) / 2, (height - h) / 2, (width + w) / 2, (height + h) / 2


def pad(samples: np.ndarray, size: int) -> np.ndarray:
    """Zeros behind a sound that is shorter than `size`."""
    return np.pad(samples[:size], (0, max(0, size - len(samples))))


def _sound_of_file(path: Path, shape: SoundShape) -> np.ndarray | None:
    track = probe(path).sound
    window = Window(0, shape.samples / shape.sample_rate)
    return next(sound_parts(path, track, shape, window), None) if track else None


def _packed_sound(packed: bytes, shape: SoundShape) -> np.ndarray:
    """In this process where libsndfile reads the format: many times faster than a process for each sound."""
    try:
        with soundfile.SoundFile(io.BytesIO(packed)) as file:
            rate, is_opus = file.samplerate, file.subtype == "OPUS"
            heard = file.read(round(shape.samples / shape.sample_rate * rate), dtype="float32", always_2d=True)
    except soundfile.SoundFileError:
        return _by_ffmpeg(packed, shape)
    if heard.shape[1] > 2 or not is_simple(rate, shape.sample_rate):
        return _by_ffmpeg(packed, shape)
    mono = np.ascontiguousarray(heard[:, 0] if shape.channels == "first" else heard.mean(axis=1))
    if is_opus:  # to the same pass band as by ffmpeg
        mono, rate = resample(mono, rate, OPUS_RATE), OPUS_RATE
    return resample(mono, rate, shape.sample_rate)[: shape.samples]


def _by_ffmpeg(packed: bytes, shape: SoundShape) -> np.ndarray:
    limit = ["-t", str(shape.samples / shape.sample_rate)]
    out = read_all(packed, ["-vn", *mono_options(shape.sample_rate, shape.channels), *limit])
    return np.frombuffer(out, np.float32, len(out) // 4)[: shape.samples]
