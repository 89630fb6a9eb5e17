import argparse
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from cavmae.model.config import SIZES, check_choices
from cavmae.options import add_flags, as_tables, assemble, given_flags, write_toml
from cavmae.train.loop import TrainOptions
from cavmae.train.pretrain import PretrainRun, configure


@dataclass(frozen=True)
class Speed:
    steps: int = 10
    lr: float = 1e-4
    clip: float | None = None
    mode: Literal["fast", "slow"] = "slow"

    def __post_init__(self):
        check_choices(self)


@dataclass(frozen=True)
class Place:
    folder: Path | None = None
    free: bool = False


@dataclass(frozen=True)
class Run:
    speed: Speed = Speed(steps=20)
    place: Place = Place()


def flags(*argv: str) -> dict[str, dict]:
    parser = argparse.ArgumentParser()
    add_flags(parser, Run)
    return given_flags(parser.parse_args(argv))


def test_flags_override_the_file_and_the_file_the_defaults():
    file = {"speed": {"lr": 1, "mode": "fast"}, "place": {"folder": "a"}}

    run = assemble(Run, file, flags("--folder", "b", "--clip", "0.5", "--free"))

    assert run == Run(Speed(20, 1.0, 0.5, "fast"), Place(Path("b"), True))


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ({"sped": {}}, "one of the sections speed, place"),
        ({"speed": {"stepz": 1}}, r"in \[speed\], got stepz"),
        ({"speed": {"steps": 1.5}}, "speed.steps to be int, got 1.5"),
        ({"speed": {"steps": True}}, "speed.steps to be int, got True"),
        ({"speed": {"lr": "fast"}}, "speed.lr to be float, got 'fast'"),
        ({"speed": {"mode": "faster"}}, "mode to be one of fast, slow"),
        ({"place": {"free": 1}}, "place.free to be bool, got 1"),
    ],
)
def test_what_a_file_says_wrongly_is_named(file, complaint):
    with pytest.raises(ValueError, match=complaint):
        assemble(Run, file)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"save_every": 0}, {"workers": 0}, {"lr": -1.0}, {"lr": float("nan")}])
def test_numbers_below_their_least_are_named(wrong):
    with pytest.raises(ValueError, match=f"Expected {next(iter(wrong))} to be"):
        TrainOptions(**wrong)


def test_a_run_is_written_as_it_is_read(tmp_path):
    run = Run(Speed(lr=1e-05, clip=2.0), Place(Path('odd "name"')))

    write_toml(tmp_path / "config.toml", run)

    assert assemble(Run, tomllib.loads((tmp_path / "config.toml").read_text())) == run


def test_every_field_of_a_run_has_its_own_flag():
    names = [name for table in as_tables(PretrainRun(SIZES["base"])).values() for name in table]

    assert len(names) == len(set(names))


def test_presets_stand_for_numbers_and_give_way_to_them(tmp_path):
    file = {"model": {"size": "small", "heads": 4}}

    assert configure(tmp_path, file, {}).model.dim == SIZES["small"].dim
    assert configure(tmp_path, file, {}).model.heads == 4
    sync = configure(tmp_path, file, {"model": {"model": "sync", "size": "base", "frames": 208}}).model
    assert (sync.kind, sync.dim, sync.heads, sync.windows, sync.frames) == ("sync", 768, 12, 16, 208)
    with pytest.raises(ValueError, match="size to be one of tiny, small, base, got huge"):
        configure(tmp_path, {"model": {"size": "huge"}}, {})
