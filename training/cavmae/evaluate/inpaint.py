"""What a CAV-MAE makes of what it cannot see (SPEC 10): true, masked and filled in, side by side as PNG."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ..data.pack import Pack, WeakPairs, skipping
from ..data.sources import SegmentShape, segment_shape
from ..media.decode import decode_frames, decode_picture, decode_sound
from ..model import checkpoint
from ..model.cav_mae import CavMae, Mask, audio_frontend, mae_loss, patches, visual_frontend
from ..model.config import CavMaeConfig
from ..model.frontend import Pixels
from ..randomness import RowRandom

STAGES = ("true", "masked", "filled in")


@dataclass(frozen=True)
class Inpainting:
    """One modality as the network takes it: as it is, NaN where masked, and with what the model puts there."""

    stages: tuple[Tensor, Tensor, Tensor]  # [C, H, W] each
    loss: float  # on the masked patches, as in pretraining


def inpaint(
    model: CavMae, config: CavMaeConfig, sound: np.ndarray, frame: np.ndarray, seed: int
) -> tuple[Inpainting, Inpainting]:
    """Of a sound [n] and a frame uint8 [H, W, 3], masked as `config` says; its masks need not be the model's own."""
    if not config.decoder_depth:
        raise ValueError("Expected a checkpoint with a decoder, got one without: use that of pretraining")
    with torch.inference_mode():
        fbank = audio_frontend(config)(torch.tensor(sound)[None], torch.tensor([len(sound)]))
        image = visual_frontend(config)(torch.tensor(frame)[None])
        random = RowRandom(seed, 0, range(1), "inpaint")
        view = model.view(model.tokens_a(fbank), model.tokens_v(image), random, config.mask_ratio, config.audio_mask)
        cells_a, cells_v = model.decode(model.encode_joint(view.audio, view.visual), view.mask_a, view.mask_v)
        spectrogram = fbank.transpose(1, 2)[:, None]  # [1, 1, mel, time]
        heard = fill(cells_a, spectrogram, model.grid_a, view.mask_a, config.norm_pix)
        return heard, fill(cells_v, image, model.grid_v, view.mask_v, config.norm_pix)


def fill(predicted: Tensor, image: Tensor, grid: tuple[int, int], mask: Mask, norm_pix: bool) -> Inpainting:
    """Puts predicted cells [1, N, p * q * C] where an image [1, C, H, W] is masked.

    A model of standardised patches says nothing of their mean and spread: each gets its true ones back.
    """
    target, hidden = patches(image, grid), mask.hidden[:, :, None] > 0
    spread, mean = (target.var(-1, keepdim=True) + 1e-6).sqrt(), target.mean(-1, keepdim=True)
    shown = predicted * spread + mean if norm_pix else predicted
    stages = (target, target.masked_fill(hidden, torch.nan), torch.where(hidden, shown, target))
    loss = mae_loss(predicted, target, mask, norm_pix)
    return Inpainting(tuple(unpatch(cells, grid, image.shape[2:])[0] for cells in stages), loss.item())


def unpatch(cells: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """The inverse of `patches`.                                       [B, rows * columns, p * q * C] -> [B, C, H, W]"""
    cell = (size[0] // grid[0], size[1] // grid[1])
    x = cells.unflatten(2, (*cell, -1)).unflatten(1, grid)  # [B, rows, columns, p, q, C]
    return x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


def picture(title: str, heard: Inpainting, seen: Inpainting, pixels: Pixels) -> Figure:
    figure = Figure(figsize=(13, 6), layout="constrained")
    figure.suptitle(title, fontsize=9)
    above, below = figure.subplots(2, 3, height_ratios=(1, 1.6))
    for axes, stage, name in zip(above, heard.stages, STAGES, strict=True):
        _draw_spectrogram(axes, stage[0], heard.stages[0])
        axes.set_title(name)
    for axes, stage in zip(below, seen.stages, strict=True):
        shown = ((stage / pixels.scale[0] + pixels.mean[0]) / 255).clamp(0, 1)  # [3, H, W]
        axes.imshow(shown.nan_to_num(0.5).permute(1, 2, 0))
        axes.set_axis_off()
    return figure


def _draw_spectrogram(axes: Axes, stage: Tensor, true: Tensor) -> None:
    low, high = true.min().item(), true.max().item()
    axes.set_facecolor("0.5")
    extent = (0, stage.shape[1] / 100, 0, stage.shape[0])  # rows of 10 ms
    axes.imshow(stage, origin="lower", aspect="auto", vmin=low, vmax=high, cmap="magma", extent=extent)
    axes.set(xlabel="s", ylabel="mel band")


def caption(key: str, heard: Inpainting, seen: Inpainting, config: CavMaeConfig, seed: int) -> str:
    lines = [
        f"{key}: {100 * config.mask_ratio:g} % masked, sound {config.audio_mask}, frame unstructured, seed {seed}",
        f"squared error of the masked patches: sound {heard.loss:.3f}, frame {seen.loss:.3f}",
    ]
    if config.norm_pix:
        lines.append("patches are predicted standardised: each masked one is shown with its true mean and spread")
    return "\n".join(lines)


def add_commands(commands) -> None:
    p = commands.add_parser("inpaint", help="what a CAV-MAE makes of what it cannot see, as PNG")
    p.set_defaults(run=run)
    p.add_argument("--checkpoint", type=Path, required=True)
    data = p.add_mutually_exclusive_group(required=True)
    data.add_argument("--clip", type=Path, help="a video with sound: its first segment and the frame in its middle")
    data.add_argument("--pack", type=Path, help="weak pairs of its val split")
    p.add_argument("--count", type=int, default=4, help="of the pack's pairs")
    p.add_argument("--out", type=Path, required=True, help="folder of the PNG files")
    masks = get_args(get_type_hints(CavMaeConfig)["audio_mask"])
    p.add_argument("--mask", choices=masks, default=masks[0], help="of the sound; the frame's is unstructured")
    p.add_argument("--ratio", type=float, default=CavMaeConfig.mask_ratio)
    p.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> None:
    model, _ = checkpoint.load(args.checkpoint)
    config = replace(model.eval().config, audio_mask=args.mask, mask_ratio=args.ratio)
    shape, pixels = segment_shape(config), visual_frontend(config)
    drawn = of_clip(args.clip, shape) if args.clip else of_pack(args.pack, shape, args.count, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    for number, (key, sound, frame) in enumerate(drawn):
        heard, seen = inpaint(model, config, sound, frame, args.seed)
        path = args.out / f"{number:03d}-{key}.png"
        picture(caption(key, heard, seen, config, args.seed), heard, seen, pixels).savefig(path, dpi=110)
        print(path)


def of_clip(path: Path, shape: SegmentShape) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    sound = decode_sound(path, shape.sample_rate, shape.seconds, shape.channels)
    yield path.stem, sound, decode_frames(path, 1, shape.seconds, (shape.height, shape.width), shape.resize)[0]


def of_pack(root: Path, shape: SegmentShape, count: int, seed: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    pack = Pack(root)
    pairs = WeakPairs(*([i for i in items if i.split == "val"] for items in (pack.sounds, pack.pictures)), seed)
    drawn = [pairs.draw() for _ in range(count)]

    def load(pair):
        sound = decode_sound(pack.read(pair[0]), shape.sample_rate, shape.seconds, shape.channels)
        return sound, decode_picture(pack.read(pair[1]), (shape.height, shape.width), shape.resize)

    for (heard, seen, _), (sound, frame) in skipping(drawn, load):
        yield f"{heard.key}-{seen.key}", sound, frame
