"""CAV-MAE from its description (SPEC 3, 4, 8, 9, 12) on the official tensor names.

Plain operations, one clip at a time, nothing shared with the model that is held against it.
"""

import math

import torch
from torch import Tensor


class Slow:
    def __init__(self, state: dict[str, Tensor], heads: int, dtype: torch.dtype = torch.float64):
        self.state = {name.removeprefix("module."): value for name, value in state.items()}
        self.heads, self.dtype = heads, dtype

    def __getitem__(self, name: str) -> Tensor:
        return self.state[name].to(self.dtype)

    # parts

    def norm(self, x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        variance = (centred**2).mean(dim=-1, keepdim=True)
        return centred / (variance + 1e-5).sqrt() * self[f"{name}.weight"] + self[f"{name}.bias"]

    def linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self[f"{name}.weight"].T + self[f"{name}.bias"]

    def attention(self, x: Tensor, name: str) -> Tensor:
        dim, size = x.shape[1], x.shape[1] // self.heads
        qkv, seen = self.linear(x, f"{name}.qkv"), []
        for head in range(self.heads):
            q, k, v = (qkv[:, part * dim + head * size : part * dim + (head + 1) * size] for part in range(3))
            weight = (q @ k.T / math.sqrt(size)).exp()
            seen.append(weight / weight.sum(dim=1, keepdim=True) @ v)
        return self.linear(torch.cat(seen, dim=1), f"{name}.proj")

    def block(self, x: Tensor, name: str, stream: str = "") -> Tensor:
        x = x + self.attention(self.norm(x, f"{name}.norm1{stream}"), f"{name}.attn")
        hidden = self.linear(self.norm(x, f"{name}.norm2{stream}"), f"{name}.mlp.fc1")
        return x + self.linear(hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2, f"{name}.mlp.fc2")

    def depth(self, stack: str) -> int:
        return 1 + max(int(name.split(".")[1]) for name in self.state if name.startswith(f"{stack}."))

    # tokens

    def tokens_a(self, fbank: Tensor) -> Tensor:  # [time, mel]
        kernel, cells = self["patch_embed_a.proj.weight"], []
        for f in range(fbank.shape[1] // 16):
            for t in range(fbank.shape[0] // 16):
                cell = fbank[16 * t : 16 * t + 16, 16 * f : 16 * f + 16].T.to(self.dtype)  # [mel, time]
                cells.append((kernel[:, 0] * cell).sum(dim=(1, 2)))
        return torch.stack(cells) + self["patch_embed_a.proj.bias"] + self["pos_embed_a"][0] + self["modality_a"][0]

    def tokens_v(self, image: Tensor) -> Tensor:  # [3, H, W]
        kernel, cells = self["patch_embed_v.proj.weight"], []
        for row in range(image.shape[1] // 16):
            for column in range(image.shape[2] // 16):
                cell = image[:, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16].to(self.dtype)
                cells.append((kernel * cell).sum(dim=(1, 2, 3)))
        return torch.stack(cells) + self["patch_embed_v.proj.bias"] + self["pos_embed_v"][0] + self["modality_v"][0]

    # streams

    def tower(self, x: Tensor, modality: str) -> Tensor:
        for i in range(self.depth(f"blocks_{modality}")):
            x = self.block(x, f"blocks_{modality}.{i}")
        return x

    def own(self, tower: Tensor, modality: str) -> Tensor:
        return self.norm(self.block(tower, "blocks_u.0", f"_{modality}"), f"norm_{modality}")

    def joint(self, tower: Tensor) -> Tensor:
        return self.norm(self.block(tower, "blocks_u.0"), "norm")

    # what the streams are for

    def retrieval(self, tower: Tensor, modality: str) -> Tensor:
        pooled = self.own(tower, modality).mean(dim=0)
        return pooled / (pooled**2).sum().sqrt()

    def head(self, pooled: Tensor) -> Tensor:
        return self.linear(self.norm(pooled, "mlp_head.0"), "mlp_head.1")

    def multimodal(self, tower_a: Tensor, tower_v: Tensor) -> Tensor:
        return self.head(self.joint(torch.cat([tower_a, tower_v])).mean(dim=0))

    def only(self, tower: Tensor, modality: str) -> Tensor:
        return self.head(self.own(tower, modality).mean(dim=0))

    def missing_other(self, tower: Tensor, modality: str) -> Tensor:
        pooled = self.joint(tower).mean(dim=0), self.own(tower, modality).mean(dim=0)
        return self.head((pooled[0] + pooled[1]) / 2)

    # CAV-MAE Sync

    def sync_tower(self, patches: Tensor, modality: str) -> Tensor:
        """Class token and patches, after the registers have gone."""
        registers = self["register_tokens"]
        half = len(registers) // 2
        own = registers[:half] if modality == "a" else registers[half:]
        return self.tower(torch.cat([self[f"cls_token_{modality}"][0], patches, own]), modality)[: 1 + len(patches)]

    def sync_retrieval(self, patches: Tensor, modality: str) -> Tensor:
        first = self.own(self.sync_tower(patches, modality), modality)[0]
        return first / (first**2).sum().sqrt()


def random_state(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """Weights as large as trained ones are; every norm and table has its own numbers."""
    random = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        value = torch.randn(shape, generator=random)
        if "norm" in name or name.startswith("mlp_head.0"):
            value = 0.2 * value + (1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("weight"):
            value *= math.prod(shape[1:]) ** -0.5
        state[f"module.{name}"] = value if len(shape) != 1 or "norm" in name else 0.1 * value
    return state
