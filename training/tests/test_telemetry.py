import os
import subprocess
import sys

import pytest

from .conftest import REPOSITORY

# Without the variable, the library writes its files within 3 s of the first session.
SERVED = """
import sys, time
from pathlib import Path
from cavmae.bundles.graph import open_graph
open_graph(Path(sys.argv[1]))
time.sleep(6)
"""


def in_own_network(*command: str, **options) -> subprocess.CompletedProcess:
    """Runs a command that reaches nobody."""
    unshare = ["unshare", "--user", "--map-root-user", "--net"]
    return subprocess.run([*unshare, *command], capture_output=True, text=True, **options)


def test_onnxruntime_keeps_no_device_id_and_no_events(tmp_path):
    try:
        tried = in_own_network("true")
    except FileNotFoundError as error:
        pytest.skip(f"no network namespace: {error}")
    if tried.returncode:
        pytest.skip(f"no network namespace: {tried.stderr.strip()}")
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    graph = REPOSITORY / "test/fixtures/tiny-cavmae/audio.onnx"

    done = in_own_network(
        sys.executable, "-c", SERVED, str(graph),
        cwd=REPOSITORY / "training",
        env=env | dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(tmp_path)) | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
