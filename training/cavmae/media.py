"""Files into arrays by ffmpeg (sound, video) and Pillow (pictures). What cannot be read raises `BadSample`."""

import io
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError


class BadSample(Exception):
    """A sample that cannot be used; callers skip and count it."""


def decode_sound(source: bytes | Path, rate: int, seconds: float, channels: str = "mean") -> np.ndarray:
    """Mono float32 in [-1, 1] of the first `seconds`.                                    [n]"""
    mono = ["-ac", "1"] if channels == "mean" else ["-af", "pan=mono|c0=c0"]
    out = _ffmpeg(source, ["-vn", *mono, "-ar", str(rate), "-t", str(seconds), "-f", "f32le"])
    samples = np.frombuffer(out, np.float32)[: round(rate * seconds)]
    if len(samples) == 0 or not np.isfinite(samples).all():
        raise BadSample(f"no finite samples in {_name(source)}")
    return samples


def decode_frames(path: Path, count: int, seconds: float, size: tuple[int, int], resize: str) -> np.ndarray:
    """`count` frames from the middles of equal parts of the first `seconds`.             uint8 [count, H, W, 3]"""
    height, width = size
    cover = f"scale={width}:{height}:force_original_aspect_ratio=increase:flags=bicubic,crop={width}:{height}"
    scale = f"scale={width}:{height}:flags=bicubic" if resize == "squash" else cover
    out = _ffmpeg(path, ["-an", "-t", str(seconds), "-vf", scale, "-f", "rawvideo", "-pix_fmt", "rgb24"])
    frames = np.frombuffer(out, np.uint8).reshape(-1, height, width, 3)
    if len(frames) == 0:
        raise BadSample(f"no frames in {path.name}")
    return frames[((np.arange(count) + 0.5) * len(frames) / count).astype(int)]


def decode_picture(source: bytes | Path, size: tuple[int, int], resize: str = "squash") -> np.ndarray:
    """uint8 [H, W, 3]; `squash` keeps the whole picture, `cover` its middle."""
    height, width = size
    try:
        picture = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError) as cause:
        raise BadSample(f"unreadable picture {_name(source)}") from cause
    if resize == "cover":
        scale = max(width / picture.width, height / picture.height)
        picture = picture.resize(
            (max(width, round(picture.width * scale)), max(height, round(picture.height * scale))), Image.BICUBIC
        )
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        return np.asarray(picture.crop((left, top, left + width, top + height)))
    return np.asarray(picture.resize((width, height), Image.BICUBIC))


def _ffmpeg(source: bytes | Path, options: list[str]) -> bytes:
    piped = isinstance(source, bytes)
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", "pipe:0" if piped else f"file:{source}", *options, "pipe:1"]
    done = subprocess.run(command, input=source if piped else None, capture_output=True, timeout=120)
    if done.returncode:
        raise BadSample(f"ffmpeg refused {_name(source)}: {done.stderr.decode(errors='replace')[-200:].strip()}")
    return done.stdout


def _name(source: bytes | Path) -> str:
    return f"{len(source)} bytes" if isinstance(source, bytes) else source.name
