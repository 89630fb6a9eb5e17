import dataclasses
import json
import os
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp

from cavmae.model.cav_mae import CavMae
from cavmae.train.finetune import FinetuneRun, TuneOptions, finetune
from cavmae.train.loop import TrainOptions
from cavmae.train.pretrain import PretrainRun, pretrain

from .synthetic import MICRO, Stripes

TOGETHER = TrainOptions(steps=3, batch=4, lr=1e-4, warmup=1, save_every=3, log_every=1, device="cpu", threads=1)
MODEL = dataclasses.replace(MICRO, bidirectional=True, contrast_mask_ratio=0.5)


def pretrained(out: Path) -> None:
    pretrain(PretrainRun(MODEL, train=TOGETHER), out / "pretrained", Stripes(MODEL, grouped=True))


def tuned(out: Path) -> None:
    """The visual tower rests."""
    tune = TuneOptions(out / "pretrained/last.pt", mode="audio", head_lr=1.0)
    finetune(FinetuneRun(tune, train=dataclasses.replace(TOGETHER, average="ema")), out / "tuned", Stripes(MODEL))


def uneven(out: Path) -> None:
    run = PretrainRun(MODEL, train=dataclasses.replace(TOGETHER, batch=5))
    with pytest.raises(ValueError, match="2 processes can share evenly, got 5"):
        pretrain(run, out / "uneven", Stripes(MODEL))


def one_rank(rank: int, ports: list[int], out: Path) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    torch.set_flush_denormal(True)
    for stage, port in zip((pretrained, tuned, uneven), ports, strict=True):
        os.environ["MASTER_PORT"] = str(port)
        stage(out)


def losses(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_two_processes_learn_what_one_does(tmp_path):
    pretrained(tmp_path / "one")
    tuned(tmp_path / "one")
    mp.spawn(one_rank, ([free_port() for _ in range(3)], tmp_path / "two"), nprocs=2)

    for stage in ("pretrained", "tuned"):
        alone, shared = tmp_path / "one" / stage, tmp_path / "two" / stage
        assert len(losses(alone)) == len(losses(shared)) == TOGETHER.steps
        for line, other in zip(losses(alone), losses(shared), strict=True):
            assert line == pytest.approx(other, rel=1e-4)
        one, two = (torch.load(out / "last.pt")["model"] for out in (alone, shared))
        for name, value in one.items():
            assert torch.allclose(value, two[name], rtol=0, atol=1e-5), name
    torch.manual_seed(TOGETHER.seed)
    begun, ended = CavMae(MODEL).state_dict(), torch.load(tmp_path / "one/pretrained/last.pt")["model"]
    assert (begun["blocks_u.0.attn.qkv.weight"] - ended["blocks_u.0.attn.qkv.weight"]).abs().max() > 1e-4
