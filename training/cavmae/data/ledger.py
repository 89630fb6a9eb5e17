"""What has become of each clip: read from a folder of shards, kept while it is filled, summed up at its end."""

import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from .clips import Listing
from .shards import index_lines, index_paths, write_whole

MISSING = "missing"  # asked for again by every run: a file may have come
REPORT_SECONDS = 5.0


@dataclass(frozen=True)
class Skip:
    """A clip of which nothing can be used."""

    key: str
    source: str
    reason: str
    detail: str


class Ledger:
    """A clip is done when its last sample is published, or when skipped.jsonl holds it for more than its absence."""

    def __init__(self, folder: Path):
        self.folder = folder
        paths = index_paths(folder)
        self.shards = int(paths[-1].stem.removeprefix("shard-")) + 1 if paths else 0
        self.begun: set[str] = set()  # samples of clips that were cut off
        self.reasons: Counter[str] = Counter()
        self.samples: Counter[str] = Counter()
        self.damaged: Counter[str] = Counter()
        self.hdr_not_mapped = 0  # clips
        self.seconds = 0.0
        self._prepared: set[str] = set()
        self._skipped: set[str] = set()
        self._read_shards()
        self._file = self._reopen_skips()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self._prepared or key in self._skipped

    @property
    def done(self) -> int:
        return len(self._prepared) + len(self._skipped)

    def skip(self, skip: Skip) -> None:
        self._file.write(json.dumps(asdict(skip)) + "\n")
        self._file.flush()
        self._note(skip)

    def count(self, facts: dict) -> None:
        """One sample, in the order of its clip."""
        self.samples["all"] += 1
        self.samples.update(name for name in ("has_sound", "has_picture", "silent", "blank") if facts[name])
        self.seconds += facts["seconds"]
        if end := facts["end"]:
            self._prepared.add(facts["clip"])
            self.samples["empty"] += end["empty_segments"]
            self.hdr_not_mapped += end["hdr_not_mapped"]
            self.damaged.update([end["damage"]] if end["damage"] else [])

    def summary(self, listing: Listing) -> dict:
        return {
            "input": listing.name,
            "clips": {
                "listed": len(listing.clips),
                "prepared": len(self._prepared),
                "damaged": dict(self.damaged),
                "hdr_not_mapped": self.hdr_not_mapped,
                "skipped": dict(self.reasons),
            },
            "segments": {
                "stored": self.samples["all"],
                "with_sound": self.samples["has_sound"],
                "with_picture": self.samples["has_picture"],
                "silent": self.samples["silent"],
                "blank": self.samples["blank"],
                "empty": self.samples["empty"],
            },
            "hours": round(self.seconds / 3600, 3),
            "ignored_files": listing.ignored,
        }

    def _read_shards(self) -> None:
        open_clips: dict[str, list[str]] = {}
        for _, facts in index_lines(self.folder):
            open_clips.setdefault(facts["clip"], []).append(facts["key"])
            self.count(facts)
            if facts["end"]:
                del open_clips[facts["clip"]]
        self.begun = {key for keys in open_clips.values() for key in keys}

    def _reopen_skips(self):
        path = self.folder / "skipped.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        skips = [Skip(**json.loads(line)) for line in lines if line.endswith("\n")]  # a kill may cut the last one
        kept = [skip for skip in skips if skip.reason != MISSING]
        write_whole(path, "".join(json.dumps(asdict(skip)) + "\n" for skip in kept))
        for skip in kept:
            self._note(skip)
        return path.open("a")

    def _note(self, skip: Skip) -> None:
        self._skipped.add(skip.key)
        self.reasons[skip.reason] += 1


class Progress:
    """A line on stderr every few seconds."""

    def __init__(self, clips: int, done: int):
        self.clips, self.already, self.started, self.shown = clips, done, time.monotonic(), 0.0

    def show(self, ledger: Ledger) -> None:
        now = time.monotonic()
        if now - self.shown < REPORT_SECONDS:
            return
        self.shown = now
        rate = (ledger.done - self.already) / max(now - self.started, 1e-3)
        left = f", ETA {timedelta(seconds=round((self.clips - ledger.done) / rate))}" if rate else ""
        skipped = "".join(f", {count} {reason}" for reason, count in ledger.reasons.most_common())
        line = f"{ledger.done}/{self.clips} clips, {ledger.samples['all']} segments{skipped}, {rate:.2f} clips/s{left}"
        print(line, file=sys.stderr, flush=True)
