"""How a run goes: a line of log.jsonl, TensorBoard and a line on stderr for each reported step; rank 0 alone writes."""

import datetime
import json
import sys
import time
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from ..distributed import rank


class TrainingLog:
    def __init__(self, out: Path, steps: range, batch: int):
        self.out, self.steps, self.batch = out, steps, batch

    def __enter__(self) -> "TrainingLog":
        if rank() == 0:
            self.out.mkdir(parents=True, exist_ok=True)
            path = self.out / "log.jsonl"
            forget(path, self.steps.start)
            self.file = path.open("a", encoding="utf-8")
            self.board = SummaryWriter(self.out / "tensorboard", purge_step=self.steps.start)
            self.started = time.monotonic()
        return self

    def __exit__(self, *_) -> None:
        if rank() == 0:
            self.file.close()
            self.board.close()

    def write(self, step: int, terms: dict[str, float], lr: float) -> None:
        if rank() != 0:
            return
        done = step + 1 - self.steps.start
        speed = done / (time.monotonic() - self.started)  # steps a second
        self.file.write(json.dumps({"step": step, **terms, "lr": lr}) + "\n")
        self.file.flush()
        for name, value in {**terms, "lr": lr, "samples_per_second": self.batch * speed}.items():
            self.board.add_scalar(name, value, step)
        losses = "  ".join(f"{name} {value:.4f}" for name, value in terms.items())
        left = datetime.timedelta(seconds=round((self.steps.stop - step - 1) / speed))
        line = (
            f"step {step + 1}/{self.steps.stop}  {losses}  lr {lr:.1e}  {self.batch * speed:.1f} samples/s  ETA {left}"
        )
        print(line, file=sys.stderr, flush=True)


def forget(path: Path, step: int) -> None:
    """Drops torn lines, and those from `step` on: a run cut off behind its last checkpoint repeats them."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < step]
        path.write_text("".join(kept), encoding="utf-8")
