"""What the command line says of what it cannot take: one line, no traceback, and nothing is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cavmae.__main__ import main
from cavmae.model import checkpoint
from cavmae.model.cav_mae import CavMae
from cavmae.model.published import official

from .synthetic import MICRO
from .tiny_bundle import write_tiny_bundle


def refusal(*argv: str | Path) -> str:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in argv])
    return str(ended.value)


@pytest.fixture
def files(tmp_path) -> Path:
    checkpoint.save(tmp_path / "ours.pt", CavMae(MICRO), 0)
    torch.save(official(CavMae(MICRO)), tmp_path / "theirs.pth")
    (tmp_path / "text").write_text("idle words")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "only.mp4").write_bytes(b"the one copy")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("export --checkpoint nowhere.pt --out made", "No such file or directory: nowhere.pt"),
        ("export --checkpoint theirs.pth --out made", "checkpoint of this pipeline.*`import` takes published weights"),
        ("export --checkpoint text --out made", "checkpoint of this pipeline, got text"),
        ("finetune --pretrained theirs.pth --out made", "`import` takes published weights"),
        ("import text --out made", "text: Expected a file of torch tensors"),
        ("import empty --out made", "empty: Expected a file of torch tensors"),
        ("import ours.pt --out made", "use `export`"),
        ("prepare nowhere --out made", "a folder of media or a CSV, got nowhere"),
        ("prepare videos --out made --workers 0", "workers to be 1 or more"),
        ("prepare videos --out made --seconds -3", "--seconds above 0"),
        ("pretrain --out made --batch 0", "batch to be 1 or more"),
        ("pretrain --out made --save-every 0", "save_every to be 1 or more"),
        ("pretrain --out made --size small --heads 3", "heads that divide a dimension of 128"),
        ("pretrain --out made --size small --frames 500", "multiples of a patch, 16"),
        ("pretrain --out made --config nowhere.toml", "No such file or directory: nowhere.toml"),
        ("export --checkpoint ours.pt --out videos", "new, empty or a bundle, got videos"),
        ("import theirs.pth --out videos --heads 4 4", "new, empty or a bundle, got videos"),
        ("import theirs.pth --out text --heads 4 4", "new, empty or a bundle, got text"),
    ],
)
def test_what_cannot_be_taken_is_named(files, monkeypatch, command, complaint):
    monkeypatch.chdir(files)

    with pytest.raises(SystemExit, match=f"^cavmae: .*{complaint}"):
        main(command.split())

    assert not (files / "made").exists() or list((files / "made").iterdir()) == []
    assert (files / "videos" / "only.mp4").read_bytes() == b"the one copy"


@pytest.mark.parametrize("command", ["adapt {bundle} {out} --out {out}", "starter --pack x --teacher x --out {out}"])
def test_a_folder_of_something_else_is_refused_before_the_work(files, command):
    words = command.format(bundle=files / "no-bundle", out=files / "videos").split()

    assert "new, empty or a bundle" in refusal(*words)


def test_a_bundle_takes_a_bundles_place(files):
    write_tiny_bundle(files / "bundle")
    (files / "bundle" / "older").write_text("")
    for left in (".bundle-old", ".bundle-young"):  # by processes that were killed
        (files / left).mkdir()
    os.utime(files / ".bundle-old", (0, 0))

    write_tiny_bundle(files / "bundle")

    assert (files / "bundle" / "bundle.json").exists() and not (files / "bundle" / "older").exists()
    assert [path.name for path in files.glob(".bundle-*")] == [".bundle-young"]


def test_a_traceback_is_shown_where_it_is_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError):
        main(["--traceback", "export", "--checkpoint", str(tmp_path / "nowhere"), "--out", str(tmp_path / "made")])


def test_a_process_says_one_line(tmp_path):
    command = [sys.executable, "-m", "cavmae", "export", "--checkpoint", "nowhere", "--out", str(tmp_path / "made")]

    done = subprocess.run(command, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "cavmae: No such file or directory: nowhere\n"
