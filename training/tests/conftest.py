import os
from pathlib import Path

import pytest
import torch

import cavmae  # noqa: F401, before onnxruntime: it turns telemetry off

torch.set_num_threads(1)  # on shared cores, threads that wait for each other cost more than they bring
torch.set_flush_denormal(True)
REPOSITORY = Path(__file__).resolve().parents[2]


def reference_folder() -> Path | None:
    """EARSHOT_REFERENCE, or shared/reference in or beside the checkout."""
    named = os.environ.get("EARSHOT_REFERENCE")
    places = [Path(named)] if named else [REPOSITORY / "shared/reference", REPOSITORY.parent / "shared/reference"]
    return next((place for place in places if (place / "cavmae").is_dir()), None)


@pytest.fixture
def reference() -> Path:
    folder = reference_folder()
    if folder is None:
        pytest.skip("no reference folder: set EARSHOT_REFERENCE, or put shared/reference beside the checkout")
    return folder / "cavmae"


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
