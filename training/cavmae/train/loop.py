"""The loop of both trainings: AdamW, warm-up and cosine, clipping, averages, checkpoints; one process or many."""

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..data.sources import Batch, Source, prefetch
from ..distributed import mean_over_ranks, own_rows, process_group, rank, world_size
from ..model import checkpoint
from ..options import as_tables, check_choices, check_least, write_toml
from ..schedule import warm_cosine
from .averaging import WeightAverage
from .log import TrainingLog
from .task import Task


@dataclass(frozen=True)
class TrainOptions:
    steps: int = 1000
    batch: int = 32  # samples of all processes together
    lr: float = 1e-4
    weight_decay: float = 0.05
    warmup: int = 50  # steps
    clip: float = 1.0  # length of the gradient at most; 0 = any
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 on a GPU that has it
    average: Literal["none", "ema", "mean"] = "none"  # mean: of the weights at each save
    ema_decay: float = 0.999
    average_from: float = 0.2  # share of the steps after which averaging begins
    seed: int = 0
    save_every: int = 200  # steps
    log_every: int = 10
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 0  # of torch on a CPU; 0 = its own choice
    workers: int = 2  # threads that read ahead

    def __post_init__(self):
        check_choices(self)
        check_least(self, steps=0, batch=1, lr=0, warmup=0, clip=0, save_every=1, log_every=1, threads=0, workers=1)


@contextmanager
def machine(options: TrainOptions) -> Iterator[torch.device]:
    """The device of this process, within its group."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("Expected a GPU that torch sees for --device cuda, got none: use --device auto or cpu")
    cuda = options.device != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
        torch.backends.cudnn.allow_tf32 = False  # the filterbank is a convolution: quiet bands need all its digits
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    with process_group(device):
        yield device


class Trainer:
    """`run` holds the options, TrainOptions as `train` among them; `about` is kept with it in each checkpoint."""

    def __init__(self, task: Task, run: Any, out: Path, device: torch.device, **about: Any):
        options = self.options = run.train
        self.task, self.run, self.out, self.device, self.about = task.to(device), run, out, device, about
        self.rows = own_rows(options.batch)
        self.groups = parameter_groups(task, options)
        self.optimizer = torch.optim.AdamW(self.groups, betas=(0.9, 0.95))
        self.rates = [group["lr"] for group in self.groups]
        self.average = None if options.average == "none" else WeightAverage(options.average, options.ema_decay)
        self.first = 0

    def resume(self, state: dict) -> None:
        """Goes on from what `save` wrote."""
        self.first = state["step"]
        self.task.model.load_state_dict(state["model"])
        self.task.load_state_dict(state.get("beside", {}), strict=False)
        moments = state["optimizer"]
        saved = [len(group["params"]) for group in moments["param_groups"]]
        if saved != [len(group["params"]) for group in self.groups]:
            raise ValueError("Expected the optimiser's state of the same parameters: begin a new run from the weights")
        now = self.optimizer.state_dict()["param_groups"]  # rates and decay may have been changed
        self.optimizer.load_state_dict({"state": moments["state"], "param_groups": now})
        if self.average and "average" in state:
            self.average.load_state_dict(state["average"], self.device)

    def fit(self, source: Source) -> None:
        steps, rows = range(self.first, self.options.steps), slice(self.rows.start, self.rows.stop)
        task = shared_out(self.task.train())
        if rank() == 0:
            write_toml(self.out / "config.toml", self.run)
        with TrainingLog(self.out, steps, self.options.batch) as log:
            for step, batch in zip(steps, prefetch(source, steps, rows, self.options.workers), strict=True):
                terms = self.advance(task, batch, step)
                saving = (step + 1) % self.options.save_every == 0 or step + 1 == self.options.steps
                if saving or (step + 1) % self.options.log_every == 0 or step == self.first:
                    log.write(step, self.measured(terms, step), self.optimizer.param_groups[0]["lr"])
                self.update_average(step, saving)
                if saving and rank() == 0:
                    self.save(step + 1)
        if len(source.skips):
            print(source.skips, file=sys.stderr)

    def advance(self, task: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        factor = warm_cosine(step, self.options.warmup, self.options.steps)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        with torch.autocast(self.device.type, torch.bfloat16, enabled=in_bf16(self.options.precision, self.device)):
            terms = task(on(batch, self.device), step, self.rows)
        self.optimizer.zero_grad()
        terms["total"].backward()
        terms["gradient"] = nn.utils.clip_grad_norm_(self.task.parameters(), self.options.clip or math.inf)
        self.optimizer.step()
        return terms

    def measured(self, terms: dict[str, Tensor], step: int) -> dict[str, float]:
        """Means over the global batch. A loss or gradient that is no number ends the run, before it is saved."""
        values = mean_over_ranks(torch.stack([term.detach().float() for term in terms.values()])).tolist()
        measured = dict(zip(terms, values, strict=True))
        if not all(math.isfinite(value) for value in values):
            raise FloatingPointError(f"Expected finite losses at step {step}, got {measured}: try a lower --lr")
        return measured

    def update_average(self, step: int, saving: bool) -> None:
        begun = step + 1 > self.options.average_from * self.options.steps
        if self.average and begun and (saving or self.options.average == "ema"):
            self.average.update(self.task.model)

    def save(self, step: int) -> None:
        more = {"optimizer": self.optimizer.state_dict(), "run": as_tables(self.run), **self.about}
        beside = {name: value.detach() for name, value in trained(self.task) if not name.startswith("model.")}
        if beside:
            more["beside"] = beside
        if self.average and self.average.count:
            more["average"] = self.average.state_dict()
        checkpoint.save(self.out / "last.pt", self.task.model, step, **more)


def shared_out(task: Task) -> nn.Module:
    """With gradients averaged over all processes. Parts of a model may rest: a stream not tuned, a loss of weight 0."""
    if world_size() == 1:
        return task
    return DistributedDataParallel(task, broadcast_buffers=False, find_unused_parameters=True)


def parameter_groups(task: Task, options: TrainOptions) -> list[dict]:
    """The matrices of linear maps and convolutions decay; biases, norms and the learned vectors do not."""
    made: dict[tuple[float, float], list] = {}
    for name, parameter in trained(task):
        decay = options.weight_decay if parameter.ndim >= 2 and name.endswith("weight") else 0.0
        lr = options.lr * (task.head_lr if name.startswith("model.mlp_head") else 1.0)
        made.setdefault((lr, decay), []).append(parameter)
    return [{"params": params, "lr": lr, "weight_decay": decay} for (lr, decay), params in made.items()]


def trained(task: Task) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in task.named_parameters() if parameter.requires_grad]


def in_bf16(precision: str, device: torch.device) -> bool:
    """Whether the networks run in bfloat16; front ends and losses never do."""
    return precision == "bf16" or (precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported())


def on(batch: Batch, device: torch.device) -> Batch:
    parts = (getattr(batch, field.name) for field in fields(batch))
    return Batch(*(None if part is None else part.to(device, non_blocking=True) for part in parts))
