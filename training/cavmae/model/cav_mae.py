"""CAV-MAE: contrastive audio-visual masked autoencoder (Gong et al., ICLR 2023), in the paper's order.

Tokens, blocks with a norm for each stream, three streams, masks, decoder, losses, tagging head. Parameter names are
those of the published weights. Norms that the published classes hold and never use are not here.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..distributed import gather_rows, rank, world_size
from ..randomness import RowRandom
from .config import CavMaeConfig
from .frontend import FbankParams, KaldiFbank, LogMel, imagenet_pixels, lite_pixels
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

    def to(self, device: torch.device) -> "Mask":
        return Mask(self.keep.to(device), self.restore.to(device), self.hidden.to(device))


def draw_mask(random: RowRandom, grid: tuple[int, int], ratio: float, mode: str = "unstructured") -> Mask:
    """Keeps int(N * (1 - ratio)) tokens; structured modes hide whole columns (time) and rows (freq) first."""
    rows, columns = grid
    noise = random.uniform(rows, columns)  # [B, rows, columns]
    share = 0.7 * ratio if mode == "tf" else ratio
    lines = torch.zeros_like(noise, dtype=torch.bool)
    if mode in ("time", "tf"):
        lines |= _smallest(random.uniform(columns), int(columns * share))[:, None]
    if mode in ("freq", "tf"):
        lines |= _smallest(random.uniform(rows), int(rows * share))[:, :, None]
    order = (noise + lines).flatten(1).argsort(dim=1, stable=True)  # visible ones first, whole lines last
    restore, kept = order.argsort(dim=1), int(rows * columns * (1 - ratio))
    if kept == 0:
        raise ValueError(f"Expected a mask ratio that leaves one token of {rows * columns}, got {ratio}")
    return Mask(order[:, :kept], restore, (restore >= kept).float())


def _smallest(noise: Tensor, count: int) -> Tensor:
    """True at the `count` smallest of each row."""
    chosen = noise.argsort(dim=1, stable=True)[:, :count]
    return torch.zeros_like(noise, dtype=torch.bool).scatter_(1, chosen, True)


def visible(tokens: Tensor, mask: Mask) -> Tensor:
    return tokens.gather(1, mask.keep[:, :, None].expand(-1, -1, tokens.shape[2]))  # [B, kept, D]


# --- the model --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Losses:
    total: Tensor
    mae_audio: Tensor
    mae_visual: Tensor
    contrast: Tensor
    pooled: tuple[Tensor, Tensor] | None  # audio and visual [B, D] as the contrast compares them; None without it


@dataclass(frozen=True)
class View:
    """What the towers made of the visible tokens of both modalities."""

    audio: Tensor  # [B, kept, D]
    visual: Tensor
    mask_a: Mask
    mask_v: Mask


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
        self.pos_embed_a = _fixed(sincos_table(*self.grid_a, c.dim))
        self.pos_embed_v = _fixed(sincos_table(*self.grid_v, c.dim))

        self.blocks_a = nn.ModuleList(Block(c.dim, c.heads, c.mlp_ratio) for _ in range(c.tower_depth))
        self.blocks_v = nn.ModuleList(Block(c.dim, c.heads, c.mlp_ratio) for _ in range(c.tower_depth))
        self.blocks_u = nn.ModuleList(Block(c.dim, c.heads, c.mlp_ratio, joint=True) for _ in range(c.joint_depth))
        self.norm, self.norm_a, self.norm_v = nn.LayerNorm(c.dim), nn.LayerNorm(c.dim), nn.LayerNorm(c.dim)

        if c.decoder_depth:
            self._add_decoder(c)
        if c.classes:
            self.mlp_head = nn.Sequential(nn.LayerNorm(c.dim), nn.Linear(c.dim, c.classes))
        self.apply(_initialise)

    def _add_decoder(self, c: CavMaeConfig) -> None:
        d = c.decoder_dim
        self.decoder_embed, self.mask_token = nn.Linear(c.dim, d), nn.Parameter(0.02 * torch.randn(1, 1, d))
        self.decoder_modality_a = nn.Parameter(0.02 * torch.randn(1, 1, d))
        self.decoder_modality_v = nn.Parameter(0.02 * torch.randn(1, 1, d))
        self.decoder_pos_embed_a = _fixed(sincos_table(*self.grid_a, d))
        self.decoder_pos_embed_v = _fixed(sincos_table(*self.grid_v, d))
        self.decoder_blocks = nn.ModuleList(Block(d, c.decoder_heads, c.mlp_ratio) for _ in range(c.decoder_depth))
        self.decoder_norm = nn.LayerNorm(d)
        self.decoder_pred_a = nn.Linear(d, c.frames * c.mel_bins // (self.grid_a[0] * self.grid_a[1]))
        self.decoder_pred_v = nn.Linear(d, 3 * c.image**2 // (self.grid_v[0] * self.grid_v[1]))

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
        return getattr(self, f"norm_{stream}" if stream else "norm")(x)

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

    def classify_missing(self, tower: Tensor, stream: str) -> Tensor:
        """A jointly tuned head on one modality alone: the mean of what the joint norms and its own norms give."""
        return self.mlp_head((self.shared(tower).mean(dim=1) + self.shared(tower, stream).mean(dim=1)) / 2)

    # pretraining

    def forward(self, fbank: Tensor, image: Tensor, random: RowRandom, groups: Tensor | None = None) -> Losses:
        """Reconstruction of what is masked, and contrast on the same view or, where it has a ratio, on its own."""
        c, zero = self.config, fbank.new_zeros(())
        tokens = self.tokens_a(fbank), self.tokens_v(image)
        own_view = c.contrast_mask_ratio is not None
        mae_a = mae_v = contrast = zero
        view = pooled = None
        if c.mae_weight or not own_view:
            view = self.view(*tokens, random, c.mask_ratio, c.audio_mask)
        if c.mae_weight:
            mae_a, mae_v = self.reconstruct(view, fbank, image)
        if c.contrast_weight:
            pooled = self.pool(self.view(*tokens, random, c.contrast_mask_ratio) if own_view else view)
            contrast = contrastive_loss(*pooled, groups, c.temperature, c.bidirectional)
        return Losses(c.mae_weight * (mae_a + mae_v) + c.contrast_weight * contrast, mae_a, mae_v, contrast, pooled)

    def view(self, tokens_a: Tensor, tokens_v: Tensor, random: RowRandom, ratio: float, mode="unstructured") -> View:
        mask_a = draw_mask(random, self.grid_a, ratio, mode).to(tokens_a.device)
        mask_v = draw_mask(random, self.grid_v, ratio).to(tokens_v.device)
        audio, visual = self.tower_a(visible(tokens_a, mask_a)), self.tower_v(visible(tokens_v, mask_v))
        return View(audio, visual, mask_a, mask_v)

    def reconstruct(self, view: View, fbank: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        predicted_a, predicted_v = self.decode(self.encode_joint(view.audio, view.visual), view.mask_a, view.mask_v)
        mae_a = mae_loss(predicted_a, self.target_a(fbank), view.mask_a, self.config.norm_pix)
        return mae_a, mae_loss(predicted_v, patches(image, self.grid_v), view.mask_v, self.config.norm_pix)

    def pool(self, view: View) -> tuple[Tensor, Tensor]:
        return self.shared(view.audio, "a").mean(dim=1), self.shared(view.visual, "v").mean(dim=1)  # 2 x [B, D]

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


def _initialise(module: nn.Module) -> None:
    """Linear maps, patch embeddings among them, as ViT and MAE start them; published stems bring their own numbers."""
    if isinstance(module, PatchEmbed):
        module = module.proj
    elif not isinstance(module, nn.Linear):
        return
    nn.init.xavier_uniform_(module.weight.flatten(1))
    nn.init.zeros_(module.bias)


def _fixed(table: Tensor) -> nn.Parameter:
    """Saved with the weights, as the published ones are; only fine-tuning learns it."""
    return nn.Parameter(table, requires_grad=False)


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


def contrastive_loss(
    audio: Tensor, visual: Tensor, groups: Tensor | None, temperature: float, bidirectional: bool
) -> Tensor:
    """InfoNCE: each picture against the sounds of all ranks, and the other way too where asked.  [B, D], [B, D]

    A row goes with those of its group (SupCon), where `groups` [B] gives it one of 0 or more; else with itself alone.
    """
    audio, visual = F.normalize(audio.float(), dim=-1), F.normalize(visual.float(), dim=-1)
    partners = _partners(len(audio), groups, audio.device)
    loss = _info_nce(visual, audio, partners, temperature)
    return (loss + _info_nce(audio, visual, partners, temperature)) / 2 if bidirectional else loss


def _partners(count: int, groups: Tensor | None, device: torch.device) -> Tensor:
    """True where a row of this rank goes with one of all ranks.                                 [B, ranks * B]"""
    own = rank() * count + torch.arange(count, device=device)
    partners = own[:, None] == torch.arange(world_size() * count, device=device)
    if groups is None:
        return partners
    return partners | ((groups[:, None] == gather_rows(groups)) & (groups >= 0)[:, None])


def _info_nce(anchors: Tensor, others: Tensor, partners: Tensor, temperature: float) -> Tensor:
    """The mean over an anchor's partners of their cross-entropy, then over the anchors."""
    with torch.autocast(anchors.device.type, enabled=False):  # cosines over 0.05 need more digits than bfloat16 has
        similarity = anchors @ gather_rows(others).T / temperature  # [B, ranks * B]
    told = similarity.log_softmax(dim=1).masked_fill(~partners, 0).sum(dim=1)
    return -(told / partners.sum(dim=1)).mean()


# --- front ends -------------------------------------------------------------------------------------------------------


def audio_frontend(config: CavMaeConfig) -> nn.Module:
    return PaddedLogMel(config.frames) if config.audio_stem == "mn04" else KaldiFbank(FbankParams(frames=config.frames))


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
