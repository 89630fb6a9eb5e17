"""ffprobe and ffmpeg as resources: no shell, no file or address but the one named, killed when they stand still."""

import json
import re
import select
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STALL_SECONDS = 120  # without a byte
PROBE_SECONDS = 60
CHUNK_BYTES = 1 << 16
SAID_AT_MOST = 100  # lines that are kept
HARMLESS = re.compile(  # said of good files too, as the server knows
    r"co located POCs unavailable|mmco: unref short|Could not find ref with POC|Last message repeated|deprecated pixel"
    r"|non monotonically increasing dts|Non-monotonic DTS|^\s*$",
    re.IGNORECASE,
)


class BadSample(Exception):
    """A sample that cannot be used; callers skip it and count its reason, a stable word."""

    def __init__(self, detail: str, reason: str = "unreadable"):
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Track:
    index: int
    starts_at: float  # seconds after the start of the clip
    seconds: float | None  # the header's claim
    transfer: str | None = None  # ffmpeg's name of a picture's transfer function


@dataclass(frozen=True)
class Header:
    """What the header of a file claims; cover art is no picture."""

    seconds: float | None
    sound: Track | None
    picture: Track | None


def probe(path: Path) -> Header:
    """Asks ffprobe."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", *_guarded(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired as cause:
        raise BadSample(f"ffprobe gave no answer on {path.name} within {PROBE_SECONDS} s", "hung") from cause
    answer = json.loads(done.stdout or b"{}")
    if done.returncode or "format" not in answer:
        raise BadSample(f"ffprobe refused {path.name}: {_last_words(done.stderr)}")
    return _header(answer)


def read_all(source: bytes | Path, options: list[str]) -> bytes:
    """Everything that one ffmpeg makes of a file, or of bytes given to it."""
    piped = isinstance(source, bytes)
    command = ["ffmpeg", "-v", "error", "-nostdin", *(["-i", "pipe:0"] if piped else _guarded(source)), *options]
    try:
        done = subprocess.run(
            [*command, "pipe:1"], input=source if piped else None, capture_output=True, timeout=STALL_SECONDS
        )
    except subprocess.TimeoutExpired as cause:
        raise BadSample(f"ffmpeg did not end on {name_of(source)} within {STALL_SECONDS} s", "hung") from cause
    if done.returncode:
        raise BadSample(f"ffmpeg refused {name_of(source)}: {_last_words(done.stderr)}")
    return done.stdout


def blocks(
    path: Path, before: list[str], after: list[str], size: int, said: list[str] | None = None
) -> Iterator[bytearray]:
    """What one ffmpeg writes, in blocks of `size` bytes; the last may be shorter. Its complaints go to `said`.

    The process lives as long as the iterator. One that fails gives what it wrote, then raises.
    """
    command = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", *before, *_guarded(path), *after, "pipe:1"]
    with _running(command, path, said) as child:
        block = bytearray()
        while chunk := _read(child, min(CHUNK_BYTES, size - len(block)), path):
            block += chunk
            if len(block) == size:
                yield block
                block = bytearray()
        if block:
            yield block


def name_of(source: bytes | Path) -> str:
    return f"{len(source)} bytes" if isinstance(source, bytes) else source.name


def _guarded(path: Path) -> list[str]:
    return ["-protocol_whitelist", "file", "-i", f"file:{path}"]


@contextmanager
def _running(command: list[str], path: Path, said: list[str] | None) -> Iterator[subprocess.Popen]:
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    words: deque[str] = deque(maxlen=4)

    def listen() -> None:
        for line in child.stderr:
            words.append(line.decode(errors="replace"))
            if said is not None and len(said) < SAID_AT_MOST and not HARMLESS.search(words[-1]):
                said.append(words[-1].strip())

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield child
        _await_end(child, path)
    finally:
        child.kill()
        child.wait()
        listener.join()
        child.stdout.close()
        child.stderr.close()
    if child.returncode:
        raise BadSample(f"ffmpeg failed on {path.name}: {''.join(words)[-200:].strip()}")


def _read(child: subprocess.Popen, most: int, path: Path) -> bytes:
    waiting = select.poll()
    waiting.register(child.stdout, select.POLLIN)
    if not waiting.poll(1000 * STALL_SECONDS):
        raise _stalled(path)
    return child.stdout.read(most)


def _await_end(child: subprocess.Popen, path: Path) -> None:
    try:
        child.wait(STALL_SECONDS)
    except subprocess.TimeoutExpired as cause:
        raise _stalled(path) from cause


def _stalled(path: Path) -> BadSample:
    return BadSample(f"ffmpeg stood still on {path.name} for {STALL_SECONDS} s", "hung")


def _last_words(words: bytes) -> str:
    return words.decode(errors="replace")[-200:].strip()


def _header(answer: dict) -> Header:
    start, whole = _number(answer["format"], "start_time") or 0.0, _number(answer["format"], "duration")

    def first(kind: str) -> Track | None:
        streams = [s for s in answer.get("streams", []) if s.get("codec_type") == kind and not _is_cover(s)]
        stream = max(streams, key=lambda s: s.get("disposition", {}).get("default", 0), default=None)
        return stream and _track(stream, start, whole)

    return Header(whole, first("audio"), first("video"))


def _track(stream: dict, start: float, whole: float | None) -> Track:
    starts, seconds = _number(stream, "start_time"), _number(stream, "duration")
    starts_at = 0.0 if starts is None else max(0.0, starts - start)
    rest = None if whole is None else whole - starts_at
    return Track(stream["index"], starts_at, rest if seconds is None else seconds, stream.get("color_transfer"))


def _is_cover(stream: dict) -> bool:
    disposition = stream.get("disposition", {})
    return bool(disposition.get("attached_pic") or disposition.get("timed_thumbnails"))


def _number(claims: dict, name: str) -> float | None:
    try:
        return float(claims[name])
    except (KeyError, ValueError):
        return None
