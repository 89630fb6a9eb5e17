import dataclasses

import pytest
import torch
import torch.nn.functional as F

from cavmae.config import SIZES
from cavmae.model import CavMae, contrastive_loss, draw_mask, load_published, mae_loss, patches, sincos_table, visible

TINY = SIZES["tiny"]


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


def test_published_weights_load_and_a_stranger_is_refused():
    source, target = CavMae(TINY), CavMae(TINY)
    state = {f"module.{name}": value for name, value in source.state_dict().items()}
    state["module.blocks_a.0.norm1_v.weight"] = torch.zeros(TINY.dim)

    load_published(target, state)

    assert torch.equal(target.norm_a.weight, source.norm_a.weight)
    with pytest.raises(ValueError, match="unexpected"):
        load_published(target, state | {"module.stranger": torch.zeros(1)})


@pytest.mark.parametrize(
    ("mode", "columns", "rows"), [("unstructured", 0, 0), ("time", 48, 0), ("freq", 0, 6), ("tf", 29, 0)]
)
def test_masks_keep_a_quarter_and_hide_whole_lines(mode, columns, rows):
    mask = draw_mask(4, (8, 64), 0.75, mode)

    hidden = mask.hidden.reshape(4, 8, 64)
    assert mask.keep.shape == (4, 128)
    assert (hidden.sum(dim=(1, 2)) == 384).all()
    assert (hidden.all(dim=1).sum(dim=1) >= columns).all() and (hidden.all(dim=2).sum(dim=1) >= rows).all()
    tokens = torch.arange(512.0).reshape(1, 512, 1).expand(4, -1, -1)
    assert torch.equal(hidden.flatten(1).gather(1, mask.keep), torch.zeros(4, 128))
    assert torch.equal(visible(tokens, mask)[..., 0].long(), mask.keep)


def test_visual_mask_keeps_49():
    assert draw_mask(1, (14, 14), 0.75).keep.shape == (1, 49)


def test_unshuffle_puts_visible_tokens_back():
    model, mask = CavMae(TINY), draw_mask(2, (8, 64), 0.75)
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
    predicted, target, mask = torch.randn(2, 16, 6), torch.randn(2, 16, 6), draw_mask(2, (4, 4), 0.75)

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

    assert contrastive_loss(a, v, 0.05, False).item() == pytest.approx(anchored.item(), rel=1e-4)
    assert contrastive_loss(a, v, 0.05, True).item() == pytest.approx((anchored + back).item() / 2, rel=1e-4)


def test_streams_have_the_papers_shapes():
    model = CavMae(dataclasses.replace(TINY, classes=527)).eval()
    fbank, image = torch.randn(2, 1024, 128), torch.randn(2, 3, 224, 224)

    a, tower_a = model.encode_audio(fbank)
    v, tower_v = model.encode_visual(image)
    joint = model.encode_joint(tower_a, tower_v)

    assert a.shape == tower_a.shape == (2, 512, 64) and v.shape == tower_v.shape == (2, 196, 64)
    assert joint.shape == (2, 708, 64) and model.classify(joint).shape == (2, 527)
    assert not torch.allclose(model.classify(joint), model.classify(model.encode_joint(a, v)), atol=1e-3)
    losses = model(fbank, image)
    expected = losses.mae_audio + losses.mae_visual + 0.01 * losses.contrast
    assert losses.total.item() == pytest.approx(expected.item())


@pytest.mark.parametrize("term", ["mae_weight", "contrast_weight"])
def test_a_weight_of_zero_skips_its_branch(term):
    losses = CavMae(dataclasses.replace(TINY, **{term: 0.0}))(torch.randn(2, 1024, 128), torch.randn(2, 3, 224, 224))

    skipped = losses.contrast if term == "contrast_weight" else losses.mae_audio + losses.mae_visual
    assert skipped.item() == 0


def test_pretrained_stems_bring_coarser_grids_and_stay_frozen():
    config = dataclasses.replace(TINY, audio_stem="mn04", visual_stem="lite0")
    model = CavMae(config).train()
    before = {name: value.clone() for name, value in model.patch_embed_v.state_dict().items()}

    losses = model(torch.randn(2, 1024, 128), torch.randn(2, 3, 224, 224))
    losses.total.backward()

    assert (model.grid_a, model.grid_v) == ((4, 32), (7, 7))
    assert all(torch.equal(value, before[name]) for name, value in model.patch_embed_v.state_dict().items())
    assert all(p.grad is None for p in model.patch_embed_a.parameters())
