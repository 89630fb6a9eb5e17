"""CAV-MAE: contrastive audio-visual masked autoencoder (Gong et al., ICLR 2023), in the paper's order.

Tokens, blocks with a norm for each stream, three streams, masks, decoder, losses, tagging head. Parameter names are
those of the published weights. Norms that the published classes hold and never use are not here.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import CavMaeConfig
from .frontend import KaldiFbank, LogMel, imagenet_pixels, lite_pixels
from .stems import EfficientNetLite, Mn04, PatchEmbed

# --- tokens -----------------------------------------------------------------------------------------------------------


def sincos_table(rows: int, columns: int, dim: int) -> Tensor:
    """sin, cos of the column, then sin, cos of the row; frequencies 10000^(-k/q), q = dim/4.   [1, rows * cols, dim]"""
    quarter = dim // 4
    frequency = 10_000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    across, down = column.reshape(-1, 1) * frequency, row.reshape(-1, 1) * frequency
    return torch.cat([across.sin(), across.cos(), down.sin(), down.cos()], dim=1).float()[None]


def patches(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Cells of a grid as vectors, channel fastest.                    [B, C, H, W] -> [B, rows * columns, p * q * C]"""
    rows, columns = grid
    cells = x.unflatten(3, (columns, -1)).unflatten(2, (rows, -1))  # [B, C, rows, p, columns, q]
    return cells.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


# --- blocks -----------------------------------------------------------------------------------------------------------


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:  # [B, N, D]
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # [B, heads, N, D/heads]
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block. A joint block has three pairs of norms: both (""), audio ("a"), visual ("v")."""

    def __init__(self, dim: int, heads: int, mlp_ratio: int, joint: bool = False):
        super().__init__()
        for stream in ("", "_a", "_v") if joint else ("",):
            self.add_module(f"norm1{stream}", nn.LayerNorm(dim))
            self.add_module(f"norm2{stream}", nn.LayerNorm(dim))
        self.attn, self.mlp = Attention(dim, heads), Mlp(dim, mlp_ratio * dim)

    def forward(self, x: Tensor, stream: str = "") -> Tensor:  # [B, N, D]
        suffix = stream and f"_{stream}"
        x = x + self.attn(getattr(self, f"norm1{suffix}")(x))
        return x + self.mlp(getattr(self, f"norm2{suffix}")(x))


# --- masks ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mask:
    """Which tokens stay visible, and how to put all back in order."""

    keep: Tensor  # [B, kept] token numbers
    restore: Tensor  # [B, N]
    hidden: Tensor  # [B, N] 1 where masked


def draw_mask(batch: int, grid: tuple[int, int], ratio: float, mode: str = "unstructured", device=None) -> Mask:
    """Keeps int(N * (1 - ratio)) tokens; structured modes hide whole columns (time) and rows (freq) first."""
    rows, columns = grid
    noise = torch.rand(batch, rows, columns, device=device)
    if mode not in ("unstructured", "time", "freq", "tf"):
        raise ValueError(f"Expected unstructured, time, freq or tf, got {mode!r}")
    share = 0.7 * ratio if mode == "tf" else ratio
    if mode in ("time", "tf"):
        chosen = torch.rand(batch, columns, device=device).argsort(1)[:, : int(columns * share)]
        noise.scatter_(2, chosen[:, None].expand(-1, rows, -1), 1.1)
    if mode in ("freq", "tf"):
        chosen = torch.rand(batch, rows, device=device).argsort(1)[:, : int(rows * share)]
        noise.scatter_(1, chosen[:, :, None].expand(-1, -1, columns), 1.1)
    order = noise.flatten(1).argsort(1)  # visible ones first
    restore, kept = order.argsort(1), int(rows * columns * (1 - ratio))
    return Mask(order[:, :kept], restore, (restore >= kept).float())


def visible(tokens: Tensor, mask: Mask) -> Tensor:
    return tokens.gather(1, mask.keep[:, :, None].expand(-1, -1, tokens.shape[2]))  # [B, kept, D]


# --- the model --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Losses:
    total: Tensor
    mae_audio: Tensor
    mae_visual: Tensor
    contrast: Tensor


class CavMae(nn.Module):
    """`fbank` is normalised [B, time, mel], `image` normalised [B, 3, H, W]."""

    def __init__(self, config: CavMaeConfig):
        super().__init__()
        c = self.config = config
        audio, visual = _audio_stem(c), _visual_stem(c)
        self.grid_a, self.grid_v = audio.grid, visual.grid
        self.patch_embed_a, self.patch_embed_v = audio, visual
        self.bring_a, self.bring_v = _bring(audio.width, c.dim), _bring(visual.width, c.dim)
        self.modality_a = nn.Parameter(0.02 * torch.randn(1, 1, c.dim))
        self.modality_v = nn.Parameter(0.02 * torch.randn(1, 1, c.dim))
        self.register_buffer("pos_embed_a", sincos_table(*self.grid_a, c.dim))
        self.register_buffer("pos_embed_v", sincos_table(*self.grid_v, c.dim))

        self.blocks_a = nn.ModuleList(Block(c.dim, c.heads, c.mlp_ratio) for _ in range(c.tower_depth))
        self.blocks_v = nn.ModuleList(Block(c.dim, c.heads, c.mlp_ratio) for _ in range(c.tower_depth))
        self.blocks_u = nn.ModuleList(Block(c.dim, c.heads, c.mlp_ratio, joint=True) for _ in range(c.joint_depth))
        self.norm, self.norm_a, self.norm_v = nn.LayerNorm(c.dim), nn.LayerNorm(c.dim), nn.LayerNorm(c.dim)

        d = c.decoder_dim
        self.decoder_embed, self.mask_token = nn.Linear(c.dim, d), nn.Parameter(0.02 * torch.randn(1, 1, d))
        self.decoder_modality_a = nn.Parameter(0.02 * torch.randn(1, 1, d))
        self.decoder_modality_v = nn.Parameter(0.02 * torch.randn(1, 1, d))
        self.register_buffer("decoder_pos_embed_a", sincos_table(*self.grid_a, d))
        self.register_buffer("decoder_pos_embed_v", sincos_table(*self.grid_v, d))
        self.decoder_blocks = nn.ModuleList(Block(d, c.decoder_heads, c.mlp_ratio) for _ in range(c.decoder_depth))
        self.decoder_norm = nn.LayerNorm(d)
        self.decoder_pred_a = nn.Linear(d, c.frames * c.mel_bins // (self.grid_a[0] * self.grid_a[1]))
        self.decoder_pred_v = nn.Linear(d, 3 * c.image**2 // (self.grid_v[0] * self.grid_v[1]))
        if c.classes:
            self.mlp_head = nn.Sequential(nn.LayerNorm(c.dim), nn.Linear(c.dim, c.classes))

    # tokens

    def tokens_a(self, fbank: Tensor) -> Tensor:  # [B, time, mel]
        x = self.bring_a(self.patch_embed_a(fbank.transpose(1, 2)[:, None]))  # token = mel row * columns + time
        return x + self.pos_embed_a + self.modality_a  # [B, N, D]

    def tokens_v(self, image: Tensor) -> Tensor:  # [B, 3, H, W]
        return self.bring_v(self.patch_embed_v(image)) + self.pos_embed_v + self.modality_v

    # three streams

    def tower_a(self, tokens: Tensor) -> Tensor:
        for block in self.blocks_a:
            tokens = block(tokens)
        return tokens

    def tower_v(self, tokens: Tensor) -> Tensor:
        for block in self.blocks_v:
            tokens = block(tokens)
        return tokens

    def shared(self, x: Tensor, stream: str = "") -> Tensor:
        for block in self.blocks_u:
            x = block(x, stream)
        return {"": self.norm, "a": self.norm_a, "v": self.norm_v}[stream](x)

    def encode_audio(self, fbank: Tensor) -> tuple[Tensor, Tensor]:
        """Normed tokens and what leaves the tower, all tokens seen.                       2 x [B, N, D]"""
        tower = self.tower_a(self.tokens_a(fbank))
        return self.shared(tower, "a"), tower

    def encode_visual(self, image: Tensor) -> tuple[Tensor, Tensor]:
        tower = self.tower_v(self.tokens_v(image))
        return self.shared(tower, "v"), tower

    def encode_joint(self, tower_a: Tensor, tower_v: Tensor) -> Tensor:
        """From what leaves the towers, not from the retrieval tokens.                     [B, Na + Nv, D]"""
        return self.shared(torch.cat([tower_a, tower_v], dim=1))

    def classify(self, tokens: Tensor) -> Tensor:
        return self.mlp_head(tokens.mean(dim=1))  # [B, C], before the sigmoid

    # pretraining

    def forward(self, fbank: Tensor, image: Tensor) -> Losses:
        c, batch = self.config, len(fbank)
        mask_a = draw_mask(batch, self.grid_a, c.mask_ratio, c.audio_mask, fbank.device)
        mask_v = draw_mask(batch, self.grid_v, c.mask_ratio, device=image.device)
        a = self.tower_a(visible(self.tokens_a(fbank), mask_a))  # [B, kept, D]
        v = self.tower_v(visible(self.tokens_v(image), mask_v))
        zero = a.new_zeros(())
        mae_a = mae_v = contrast = zero
        if c.mae_weight:
            predicted_a, predicted_v = self.decode(self.encode_joint(a, v), mask_a, mask_v)
            mae_a = mae_loss(predicted_a, self.target_a(fbank), mask_a, c.norm_pix)
            mae_v = mae_loss(predicted_v, patches(image, self.grid_v), mask_v, c.norm_pix)
        if c.contrast_weight:
            pooled_a, pooled_v = self.shared(a, "a").mean(dim=1), self.shared(v, "v").mean(dim=1)
            contrast = contrastive_loss(pooled_a, pooled_v, c.temperature, c.bidirectional)
        return Losses(c.mae_weight * (mae_a + mae_v) + c.contrast_weight * contrast, mae_a, mae_v, contrast)

    def target_a(self, fbank: Tensor) -> Tensor:
        return patches(fbank.transpose(1, 2)[:, None], self.grid_a)  # [B, N, p * q], p = mel, q = time

    def decode(self, joint: Tensor, mask_a: Mask, mask_v: Mask) -> tuple[Tensor, Tensor]:
        x = self.decoder_embed(joint)
        kept = mask_a.keep.shape[1]
        a = self.unshuffle(x[:, :kept], mask_a) + self.decoder_pos_embed_a + self.decoder_modality_a
        v = self.unshuffle(x[:, kept:], mask_v) + self.decoder_pos_embed_v + self.decoder_modality_v
        x = torch.cat([a, v], dim=1)
        for block in self.decoder_blocks:
            x = block(x)
        x = self.decoder_norm(x)
        count = a.shape[1]
        return self.decoder_pred_a(x[:, :count]), self.decoder_pred_v(x[:, count:])

    def unshuffle(self, x: Tensor, mask: Mask) -> Tensor:
        missing = mask.restore.shape[1] - x.shape[1]
        full = torch.cat([x, self.mask_token.expand(len(x), missing, -1)], dim=1)
        return full.gather(1, mask.restore[:, :, None].expand(-1, -1, x.shape[2]))  # [B, N, d]


def _audio_stem(c: CavMaeConfig) -> nn.Module:
    if c.audio_stem == "mn04":
        return FrozenStem(Mn04().features, Mn04.width, Mn04.grid)
    return PatchEmbed(1, c.dim, (c.mel_bins // c.patch, c.frames // c.patch), c.patch)


def _visual_stem(c: CavMaeConfig) -> nn.Module:
    if c.visual_stem == "lite0":
        return FrozenStem(EfficientNetLite(0).features, EfficientNetLite.width, (c.image // 32, c.image // 32))
    return PatchEmbed(3, c.dim, (c.image // c.patch, c.image // c.patch), c.patch)


class FrozenStem(nn.Module):
    """A pretrained convolutional net as stem; its weights and norm statistics stay as they are."""

    def __init__(self, features: nn.Module, width: int, grid: tuple[int, int]):
        super().__init__()
        self.features, self.width, self.grid = features.requires_grad_(False), width, grid

    def train(self, mode: bool = True) -> "FrozenStem":
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:  # [B, C, H, W]
        return self.features(x).flatten(2).transpose(1, 2)  # [B, N, width]


def _bring(width: int, dim: int) -> nn.Module:
    return nn.Identity() if width == dim else nn.Linear(width, dim)


# --- losses -----------------------------------------------------------------------------------------------------------


def mae_loss(predicted: Tensor, target: Tensor, mask: Mask, norm_pix: bool) -> Tensor:
    """Mean squared error of the masked patches; each target patch standardised (unbiased variance) where asked."""
    if norm_pix:
        target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6).sqrt()
    error = (predicted - target).square().mean(-1)  # [B, N]
    return (error * mask.hidden).sum() / mask.hidden.sum()


def contrastive_loss(audio: Tensor, visual: Tensor, temperature: float, bidirectional: bool) -> Tensor:
    """InfoNCE: each picture against all sounds, and the other way too where asked.    [B, D], [B, D]"""
    similarity = F.normalize(visual, dim=-1) @ F.normalize(audio, dim=-1).T / temperature
    own = torch.arange(len(similarity), device=similarity.device)
    loss = F.cross_entropy(similarity, own)
    return (loss + F.cross_entropy(similarity.T, own)) / 2 if bidirectional else loss


# --- front ends and what is exported ----------------------------------------------------------------------------------


def audio_frontend(config: CavMaeConfig) -> nn.Module:
    return PaddedLogMel(config.frames) if config.audio_stem == "mn04" else KaldiFbank()


def visual_frontend(config: CavMaeConfig) -> nn.Module:
    return lite_pixels() if config.visual_stem == "lite0" else imagenet_pixels()


class PaddedLogMel(nn.Module):
    """The mn04 front end as [B, frames, mel], its 1000 frames filled up with zeros to a multiple of the stem's 32."""

    def __init__(self, frames: int):
        super().__init__()
        self.mel, self.frames = LogMel(), frames

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        mel = self.mel(samples, lengths)[:, 0].transpose(1, 2)  # [B, 1000, 128]
        return F.pad(mel, (0, 0, 0, self.frames - mel.shape[1]))


class AudioEncoder(nn.Module):
    """samples [B, T], lengths [B] -> embedding [B, D], tokens [B, N, D], where asked logits [B, C], tower [B, N, D]."""

    def __init__(self, model: CavMae, tags: bool = False, tower: bool = False):
        super().__init__()
        self.frontend, self.model, self.tags, self.tower = audio_frontend(model.config), model, tags, tower

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        return _results(self, *self.model.encode_audio(self.frontend(samples, lengths)))


class VisualEncoder(nn.Module):
    """frames uint8 [B, H, W, 3] -> the same."""

    def __init__(self, model: CavMae, tags: bool = False, tower: bool = False):
        super().__init__()
        self.frontend, self.model, self.tags, self.tower = visual_frontend(model.config), model, tags, tower

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        return _results(self, *self.model.encode_visual(self.frontend(frames)))


class JointTagger(nn.Module):
    """What leaves both towers -> logits [B, C]."""

    def __init__(self, model: CavMae):
        super().__init__()
        self.model = model

    def forward(self, audio_tower: Tensor, visual_tower: Tensor) -> Tensor:
        return self.model.classify(self.model.encode_joint(audio_tower, visual_tower))


def _results(encoder: AudioEncoder | VisualEncoder, tokens: Tensor, tower: Tensor) -> tuple[Tensor, ...]:
    embedding = F.normalize(tokens.mean(dim=1), dim=-1)
    logits = (encoder.model.classify(tokens),) if encoder.tags else ()
    return (embedding, tokens, *logits, *((tower,) if encoder.tower else ()))


def load_published(model: CavMae, state: dict[str, Tensor]) -> None:
    """Weights as their authors publish them: `module.` prefix off, unused norms dropped, anything else must fit."""
    state = {name.removeprefix("module."): value for name, value in state.items()}
    joint = tuple(f"blocks_u.{i}." for i in range(model.config.joint_depth))
    dead = [n for n in state if ("norm1_" in n or "norm2_" in n) and not n.startswith(joint)]
    missing, unexpected = model.load_state_dict({n: v for n, v in state.items() if n not in dead}, strict=False)
    lacking = [n for n in missing if not n.startswith(("decoder_", "mask_token", "mlp_head"))]
    if lacking or unexpected:
        raise ValueError(f"Expected the published layout, missing {lacking}, unexpected {unexpected}")
