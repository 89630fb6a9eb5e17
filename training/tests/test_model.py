import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

from cavmae.model.cav_mae import CavMae, contrastive_loss, draw_mask, mae_loss, patches, sincos_table, visible
from cavmae.model.config import SIZES
from cavmae.randomness import RowRandom

from .slow_cavmae import Slow

TINY = SIZES["tiny"]
SHORT = dataclasses.replace(TINY, frames=128, image=64)  # grids of 8 x 8 and 4 x 4


def masking(rows: int) -> RowRandom:
    return RowRandom(0, 0, range(rows), "mask")


@pytest.mark.parametrize(
    ("rows", "columns", "dim", "total", "first4"),
    [
        (8, 64, 768, 171206.74152011354, [0.8414709848, 0.8152506497, 0.7885930409, 0.7617204084]),
        (14, 14, 768, 69594.49385916878, [0.8414709848, 0.8152506497, 0.7885930409, 0.7617204084]),
        (8, 64, 512, 113997.02481264324, [0.8414709848, 0.8019617952, 0.7617204084, 0.7214141171]),
        (14, 14, 512, 46340.33310267378, [0.8414709848, 0.8019617952, 0.7617204084, 0.7214141171]),
    ],
)
def test_positions_are_the_papers(rows, columns, dim, total, first4):
    table = sincos_table(rows, columns, dim)[0]

    assert table.double().sum().item() == pytest.approx(total, abs=0.05)
    assert table[1, :4].tolist() == pytest.approx(first4, abs=1e-6)  # the column comes first
    assert table[columns, dim // 2 : dim // 2 + 4].tolist() == pytest.approx(first4, abs=1e-6)


def test_base_holds_the_published_numbers_less_the_dead_norms():
    with torch.device("meta"):
        model = CavMae(SIZES["base"])

    assert sum(value.numel() for value in model.state_dict().values()) == 191_036_160 - 167_936


def test_names_and_shapes_are_the_published_ones(reference):
    rows = (line.split("\t") for line in (reference / "state_dict_CAVMAE.tsv").read_text().splitlines()[1:])
    published = {row[0].removeprefix("module."): row[1] for row in rows}
    with torch.device("meta"):
        ours = CavMae(SIZES["base"]).state_dict()

    assert {name: "x".join(map(str, value.shape)) for name, value in ours.items()}.items() <= published.items()


@pytest.mark.parametrize(
    ("mode", "columns", "rows"), [("unstructured", 0, 0), ("time", 48, 0), ("freq", 0, 6), ("tf", 33, 4)]
)
def test_masks_keep_a_quarter_and_hide_whole_lines(mode, columns, rows):
    mask = draw_mask(masking(4), (8, 64), 0.75, mode)

    hidden = mask.hidden.reshape(4, 8, 64)
    spared = 4 if mode == "tf" else 0  # 31 columns of 4 rows are 124 cells, and 128 are kept
    assert mask.keep.shape == (4, 128) and (hidden.sum(dim=(1, 2)) == 384).all()
    assert (hidden.all(dim=1).sum(dim=1) >= columns - spared).all()
    assert (hidden.all(dim=2).sum(dim=1) >= rows - spared).all()
    assert (lines_hidden(hidden, columns, rows) == spared).all()


def lines_hidden(hidden: torch.Tensor, columns: int, rows: int) -> torch.Tensor:
    """Visible cells in the most hidden columns and rows of each mask."""
    seen = 1 - hidden  # [B, 8, 64]
    lines = torch.zeros_like(seen, dtype=torch.bool)
    for b in range(len(seen)):
        lines[b, :, seen[b].sum(dim=0).argsort()[:columns]] = True
        lines[b, seen[b].sum(dim=1).argsort()[:rows]] = True
    return (seen * lines).sum(dim=(1, 2))


def test_a_mask_numbers_its_visible_tokens():
    mask = draw_mask(masking(4), (8, 64), 0.75)
    tokens = torch.arange(512.0).reshape(1, 512, 1).expand(4, -1, -1)

    assert torch.equal(mask.hidden.gather(1, mask.keep), torch.zeros(4, 128))
    assert torch.equal(visible(tokens, mask)[..., 0].long(), mask.keep)
    assert not torch.equal(mask.keep[0], mask.keep[1])


@pytest.mark.parametrize(("ratio", "kept"), [(0.75, 49), (0.5, 98), (0.0, 196)])
def test_a_ratio_says_how_many_stay(ratio, kept):
    assert draw_mask(masking(1), (14, 14), ratio).keep.shape == (1, kept)


def test_a_row_has_its_mask_wherever_it_is_computed():
    whole = draw_mask(masking(4), (8, 64), 0.75, "tf")
    half = draw_mask(RowRandom(0, 0, range(2, 4), "mask"), (8, 64), 0.75, "tf")
    later = draw_mask(RowRandom(0, 1, range(4), "mask"), (8, 64), 0.75, "tf")

    assert torch.equal(whole.keep[2:], half.keep)
    assert not torch.equal(whole.keep, later.keep)


def test_unshuffle_puts_visible_tokens_back():
    model, mask = CavMae(TINY), draw_mask(masking(2), (8, 64), 0.75)
    x = torch.randn(2, 512, TINY.decoder_dim)

    full = model.unshuffle(visible(x, mask), mask)

    seen = mask.hidden == 0
    assert torch.equal(full[seen], x[seen])
    assert torch.equal(full[~seen], model.mask_token[0].expand(int((~seen).sum()), -1))


def test_patches_are_cut_channel_fastest():
    x = torch.randn(2, 3, 32, 48)

    cut = patches(x, (2, 3))

    for row, column, p, q, c in [(0, 0, 0, 0, 0), (1, 2, 5, 7, 1), (0, 1, 15, 15, 2)]:
        assert cut[1, row * 3 + column, (p * 16 + q) * 3 + c] == x[1, c, 16 * row + p, 16 * column + q]


def test_audio_targets_have_mel_rows_and_time_columns():
    fbank = torch.randn(1, 1024, 128)

    target = CavMae(TINY).target_a(fbank)

    assert target[0, 2 * 64 + 5, 3 * 16 + 4] == fbank[0, 16 * 5 + 4, 16 * 2 + 3]


@pytest.mark.parametrize("norm_pix", [True, False])
def test_mae_loss_agrees_with_a_plain_loop(norm_pix):
    predicted, target, mask = torch.randn(2, 16, 6), torch.randn(2, 16, 6), draw_mask(masking(2), (4, 4), 0.75)

    errors = []
    for b in range(2):
        for n in range(16):
            if n not in mask.keep[b].tolist():
                want = target[b, n]
                if norm_pix:
                    want = (want - want.mean()) / (want.var(unbiased=True) + 1e-6) ** 0.5
                errors.append(sum((predicted[b, n, i] - want[i]) ** 2 for i in range(6)) / 6)

    assert mae_loss(predicted, target, mask, norm_pix).item() == pytest.approx(
        (sum(errors) / len(errors)).item(), rel=1e-5
    )


def test_contrastive_loss_is_anchored_on_the_picture():
    a, v = torch.randn(5, 8), torch.randn(5, 8)
    similarity = torch.tensor([[F.cosine_similarity(v[i], a[j], dim=0) / 0.05 for j in range(5)] for i in range(5)])

    anchored = -sum(similarity[i, i] - torch.logsumexp(similarity[i], 0) for i in range(5)) / 5
    back = -sum(similarity[i, i] - torch.logsumexp(similarity[:, i], 0) for i in range(5)) / 5

    for groups in (None, torch.arange(5), torch.full((5,), -1)):
        assert contrastive_loss(a, v, groups, 0.05, False).item() == pytest.approx(anchored.item(), rel=1e-4)
        both = contrastive_loss(a, v, groups, 0.05, True)
        assert both.item() == pytest.approx((anchored + back).item() / 2, rel=1e-4)


def test_rows_of_a_group_go_with_each_other():
    a, v, groups = torch.randn(6, 8), torch.randn(6, 8), [3, 0, 3, -1, 3, -1]

    def told(anchor: torch.Tensor, i: int, others: torch.Tensor) -> float:
        chances = [math.exp(F.cosine_similarity(anchor, other, dim=0).item() / 0.2) for other in others]
        partners = [j for j in range(6) if j == i or groups[j] == groups[i] >= 0]
        return -sum(math.log(chances[j] / sum(chances)) for j in partners) / len(partners)

    there, back = (sum(told(x[i], i, y) for i in range(6)) / 6 for x, y in ((v, a), (a, v)))

    assert contrastive_loss(a, v, torch.tensor(groups), 0.2, False).item() == pytest.approx(there, rel=1e-4)
    assert contrastive_loss(a, v, torch.tensor(groups), 0.2, True).item() == pytest.approx((there + back) / 2, rel=1e-4)


def test_streams_have_the_papers_shapes():
    model = CavMae(dataclasses.replace(TINY, classes=527)).eval()
    fbank, image = torch.randn(2, 1024, 128), torch.randn(2, 3, 224, 224)

    a, tower_a = model.encode_audio(fbank)
    v, tower_v = model.encode_visual(image)
    joint = model.encode_joint(tower_a, tower_v)

    assert a.shape == tower_a.shape == (2, 512, 64) and v.shape == tower_v.shape == (2, 196, 64)
    assert joint.shape == (2, 708, 64) and model.classify(joint).shape == (2, 527)
    assert not torch.allclose(model.classify(joint), model.classify(model.encode_joint(a, v)), atol=1e-3)


@pytest.mark.parametrize("contrast_ratio", [None, 0.25])
def test_a_pretraining_pass_is_that_of_the_slow_reference(contrast_ratio):
    config = dataclasses.replace(SHORT, contrast_mask_ratio=contrast_ratio, audio_mask="tf", contrast_weight=0.1)
    model = stirred(CavMae(config))
    fbank, image = torch.randn(3, 128, 128), torch.randn(3, 3, 64, 64)

    losses = model(fbank, image, masking(3))

    mae_audio, mae_visual, contrast = slow_losses(model, fbank, image, masking(3))
    assert losses.mae_audio.item() == pytest.approx(mae_audio, rel=1e-4)
    assert losses.mae_visual.item() == pytest.approx(mae_visual, rel=1e-4)
    assert losses.contrast.item() == pytest.approx(contrast, rel=1e-3)
    assert losses.total.item() == pytest.approx(mae_audio + mae_visual + 0.1 * contrast, rel=1e-4)


def stirred(model: CavMae) -> CavMae:
    """Norms and biases too have numbers of their own."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return model


def slow_losses(model: CavMae, fbank, image, random: RowRandom) -> tuple[float, float, float]:
    """SPEC 4 to 6 clip by clip, in double precision; the masks are drawn in the model's order."""
    c, slow = model.config, Slow(model.state_dict(), model.config.heads)
    masks = draw_mask(random, model.grid_a, c.mask_ratio, c.audio_mask), draw_mask(random, model.grid_v, c.mask_ratio)
    tokens = [[slow.tokens_a(one) for one in fbank], [slow.tokens_v(one) for one in image]]
    towers = [slow_towers(slow, tokens[m], "av"[m], masks[m]) for m in (0, 1)]
    targets = [slow_cells(fbank.transpose(1, 2)[:, None]), slow_cells(image)]
    errors: tuple[list, list] = ([], [])
    for b in range(len(fbank)):
        joint = slow.joint(torch.cat([towers[0][b], towers[1][b]]))
        predicted = slow_decoded(slow, joint, [mask.keep[b].tolist() for mask in masks], c.decoder_heads)
        for m in (0, 1):
            for n in set(range(len(targets[m][b]))) - set(masks[m].keep[b].tolist()):
                want = targets[m][b][n]
                want = (want - want.mean()) / (want.var(unbiased=True) + 1e-6) ** 0.5
                errors[m].append(((predicted[m][n] - want) ** 2).mean().item())
    if c.contrast_mask_ratio is not None:
        masks = [draw_mask(random, grid, c.contrast_mask_ratio) for grid in (model.grid_a, model.grid_v)]
        towers = [slow_towers(slow, tokens[m], "av"[m], masks[m]) for m in (0, 1)]
    audio, visual = (torch.stack([slow.retrieval(x, "av"[m]) for x in towers[m]]) for m in (0, 1))
    logits = (visual @ audio.T / c.temperature).log_softmax(dim=1)
    return sum(errors[0]) / len(errors[0]), sum(errors[1]) / len(errors[1]), -logits.diag().mean().item()


def slow_towers(slow: Slow, tokens: list, modality: str, mask) -> list:
    return [slow.tower(one[mask.keep[b]], modality) for b, one in enumerate(tokens)]


def slow_cells(images: torch.Tensor) -> list[list[torch.Tensor]]:
    """16 x 16 cells, row by row; in a cell row, column, channel."""
    rows, columns = images.shape[2] // 16, images.shape[3] // 16
    cells = [(16 * i, 16 * j) for i in range(rows) for j in range(columns)]
    return [[x[:, i : i + 16, j : j + 16].permute(1, 2, 0).flatten().double() for i, j in cells] for x in images]


def slow_decoded(slow: Slow, joint: torch.Tensor, keeps: list[list[int]], heads: int) -> list[torch.Tensor]:
    embedded = slow.linear(joint, "decoder_embed")
    parts = embedded[: len(keeps[0])], embedded[len(keeps[0]) :]
    rows = []
    for m, keep in enumerate(keeps):
        places = slow[f"decoder_pos_embed_{'av'[m]}"][0]
        full = slow["mask_token"][0].repeat(len(places), 1)
        for x, n in zip(parts[m], keep, strict=True):
            full[n] = x
        rows.append(full + places + slow[f"decoder_modality_{'av'[m]}"][0])
    decoder = Slow(slow.state, heads)
    x = torch.cat(rows)
    for i in range(decoder.depth("decoder_blocks")):
        x = decoder.block(x, f"decoder_blocks.{i}")
    x = decoder.norm(x, "decoder_norm")
    return [slow.linear(x[: len(rows[0])], "decoder_pred_a"), slow.linear(x[len(rows[0]) :], "decoder_pred_v")]


@pytest.mark.parametrize("term", ["mae_weight", "contrast_weight"])
def test_a_weight_of_zero_skips_its_branch(term):
    model = CavMae(dataclasses.replace(SHORT, **{term: 0.0}))

    losses = model(torch.randn(2, 128, 128), torch.randn(2, 3, 64, 64), masking(2))

    assert losses.total > 0
    skipped = losses.contrast if term == "contrast_weight" else losses.mae_audio + losses.mae_visual
    assert skipped.item() == 0


def test_pretrained_stems_bring_coarser_grids_and_stay_frozen():
    config = dataclasses.replace(TINY, audio_stem="mn04", visual_stem="lite0")
    model = CavMae(config).train()
    before = {name: value.clone() for name, value in model.patch_embed_v.state_dict().items()}

    losses = model(torch.randn(2, 1024, 128), torch.randn(2, 3, 224, 224), masking(2))
    losses.total.backward()

    assert (model.grid_a, model.grid_v) == ((4, 32), (7, 7))
    assert all(torch.equal(value, before[name]) for name, value in model.patch_embed_v.state_dict().items())
    assert all(p.grad is None for p in model.patch_embed_a.parameters())
