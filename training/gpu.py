"""What bench/gpu.sh needs of PyTorch: a CAV-MAE base of random weights as a bundle, and PyTorch's own times.

python training/gpu.py export <folder>
python training/gpu.py eager <starter|base> <fp32|tf32|fp16> <result.json> [batch ...]
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
from cavmae.model.cav_mae import CavMae
from cavmae.model.config import SIZES
from cavmae.model.encoders import AudioEncoder, VisualEncoder, heard_samples
from cavmae.model.frontend import LogMel, LogMelParams, lite_pixels
from cavmae.model.stems import EfficientNetLite, Mn04

WARM_UPS = 2
LEAST_ROUNDS, MOST_ROUNDS = 3, 30
BATCH_SECONDS = 2.0  # of rounds, once there are enough


class Stem(nn.Module):
    """The starter without its heads, which need what it was fitted on: front end and net, weights by lot."""

    def __init__(self, frontend: nn.Module, features: nn.Module):
        super().__init__()
        self.frontend, self.features = frontend, features

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.features(self.frontend(*inputs))


def base() -> CavMae:
    torch.manual_seed(0)
    return CavMae(SIZES["base"]).eval()


def export(folder: Path) -> None:
    from cavmae.bundles.export_cavmae import Release, write_model  # needs onnx, which `eager` does without

    write_model(base(), folder, "none", Release(about="Weights drawn by lot, for timing (training/gpu.py)."))


def encoders(name: str) -> tuple[nn.Module, nn.Module, int]:
    """Of sound, of pictures, and the samples that one hears."""
    if name == "starter":
        sound, picture = Stem(LogMel(), Mn04().features), Stem(lite_pixels(), EfficientNetLite(0).features)
        return sound.eval(), picture.eval(), LogMelParams().samples
    model = base()
    return (
        AudioEncoder(model, ("embedding",)).eval(),
        VisualEncoder(model, ("embedding",)).eval(),
        heard_samples(model.config),
    )


@torch.inference_mode()
def eager(name: str, precision: str, result: Path, batches: list[int]) -> None:
    """From memory of the host to memory of the host, as onnxruntime-node does it."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and precision != "fp32":
        raise SystemExit(f"PyTorch finds no GPU; {precision} is timed on a GPU only")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    sound, picture, samples = encoders(name)
    rows = []
    for kind, encoder in (("sound", sound.to(device)), ("frame", picture.to(device))):
        for batch in batches:
            inputs = example(kind, batch, samples)

            def run(encoder=encoder, inputs=inputs) -> None:
                with torch.autocast(device.type, torch.float16, enabled=precision == "fp16"):
                    found = encoder(*(value.to(device) for value in inputs))
                (found[0] if isinstance(found, tuple) else found.mean(dim=(2, 3))).float().cpu()

            rows.append({"kind": kind, "batch": batch, **timed(run)})
            result.write_text(json.dumps(rows, indent=1) + "\n")  # each time: what is there when it is stopped counts


def example(kind: str, batch: int, samples: int) -> tuple[Tensor, ...]:
    if kind == "sound":
        return 0.1 * torch.randn(batch, samples), torch.full((batch,), samples)
    return (torch.randint(0, 256, (batch, 224, 224, 3), dtype=torch.uint8),)


def timed(run: Callable[[], None]) -> dict:
    first = milliseconds(run)
    for _ in range(WARM_UPS):
        run()
    times, started = [], time.perf_counter()
    while len(times) < LEAST_ROUNDS or (len(times) < MOST_ROUNDS and time.perf_counter() - started < BATCH_SECONDS):
        times.append(milliseconds(run))
    return {"firstMs": first, "ms": median(times), "rounds": len(times)}


def milliseconds(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command == "export":
        export(Path(rest[0]))
    elif command == "eager":
        eager(rest[0], rest[1], Path(rest[2]), [int(batch) for batch in rest[3:]])
    else:
        raise SystemExit(f"Expected export or eager, got {command}")
