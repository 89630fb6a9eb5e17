import pytest
import torch

from cavmae.model.config import SIZES
from cavmae.model.frontend import KaldiFbank
from cavmae.randomness import RowRandom
from cavmae.train.augment import (
    AugmentOptions,
    Mix,
    PerturbOptions,
    band,
    draw_mix,
    hide_bands,
    mix_sounds,
    perturb,
    silence_level,
    soft_labels,
)


def stream(rows: range = range(4), step: int = 0) -> RowRandom:
    return RowRandom(0, step, rows, "test")


def test_sounds_are_mixed_without_their_means_over_the_first_ones_length():
    samples = torch.tensor([[1.0, 3.0, 5.0, 0.0], [2.0, 4.0, 0.0, 0.0]])
    lengths = torch.tensor([3, 2])

    mixed = mix_sounds(samples, lengths, Mix(torch.tensor([0.75, 0.5])))

    # Row 0: .75 (-2, 0, 2) + .25 (-1, 1, 0), mean 0. Row 1: .5 (-1, 1) + .5 (-2, 0), mean -.5 taken off.
    assert torch.allclose(mixed, torch.tensor([[-1.75, 0.25, 1.5, 0.0], [-1.0, 1.0, 0.0, 0.0]]))


def test_what_is_not_mixed_stays_as_it_is():
    samples, lengths = torch.randn(4, 10), torch.full((4,), 10)
    mix = Mix(torch.tensor([1.0, 0.5, 1.0, 1.0]))

    mixed = mix_sounds(samples, lengths, mix)

    assert torch.equal(mixed[[0, 2, 3]], samples[[0, 2, 3]])
    assert not torch.allclose(mixed[1], samples[1])


def test_pictures_are_mixed_with_their_neighbours():
    pictures = torch.tensor([1.0, 2.0, 10.0, 20.0]).reshape(4, 1, 1, 1)

    blended = Mix(torch.tensor([0.6, 1.0, 0.5, 0.9])).blend(pictures)

    assert torch.allclose(blended.flatten(), torch.tensor([0.6 + 0.8, 2.0, 15.0, 18.0 + 1.0]))


def test_labels_are_smoothed_and_mixed_by_hand():
    labels = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]])

    soft = soft_labels(labels, 0.1, Mix(torch.tensor([1.0, 0.7])))

    # Unmixed: .1 / 4 and .9. Mixed: .1 / 4 plus .7 * .9 of its own and .3 * .9 of its neighbour's.
    assert torch.allclose(soft[0], torch.tensor([0.9, 0.025, 0.025, 0.9]))
    assert torch.allclose(soft[1], torch.tensor([0.025 + 0.27, 0.025 + 0.63, 0.025, 0.025 + 0.27]))


def test_half_of_the_rows_are_mixed_about_evenly():
    share = draw_mix(stream(range(2000)), 0.5).share

    mixed = share[share < 1]
    assert 900 < len(mixed) < 1100
    assert mixed.mean().item() == pytest.approx(0.5, abs=0.02)  # Beta(10, 10): deviation 1 / sqrt(84)
    assert mixed.std().item() == pytest.approx(84**-0.5, abs=0.01)


def test_mixing_wants_pairs():
    with pytest.raises(ValueError, match="even batch"):
        draw_mix(stream(range(3)), 0.5)
    assert torch.equal(draw_mix(stream(range(3)), 0.0).blend(torch.ones(3)), torch.ones(3))


def test_a_band_is_one_run_shorter_than_its_limit():
    bands = band(stream(range(500)), 128, 48)

    widths = bands.sum(dim=1)
    edges = (bands[:, 1:] != bands[:, :-1]).sum(dim=1) + bands[:, 0].int() + bands[:, -1].int()
    assert set(edges.tolist()) <= {0, 2}
    assert widths.min() == 0 and widths.max() == 47


def test_hidden_bands_are_what_padding_is():
    config = SIZES["tiny"]
    fbank = KaldiFbank()(0.1 * torch.randn(4, 16_000), torch.full((4,), 16_000))

    hidden = hide_bands(fbank, stream(), AugmentOptions(freq_mask=48, time_mask=192), silence_level(config))

    padding = fbank[0, -1, 0].item()
    assert silence_level(config) == pytest.approx(padding) == pytest.approx(1.1329127, abs=1e-6)
    changed = hidden != fbank
    assert changed.any() and (hidden[changed] == padding).all()


def test_noise_is_small_and_rolls_go_round():
    fbank = torch.arange(64.0).reshape(1, 64, 1).expand(4, -1, 8).contiguous()

    noisy = perturb(fbank, stream(), PerturbOptions(roll=False)) - fbank
    rolled = perturb(fbank, stream(), PerturbOptions(noise=False))

    assert noisy.min() >= 0 and noisy.max() < 0.1 and noisy.std() > 0.005
    steps = (rolled - rolled.roll(1, dims=1))[:, :, 0]
    assert (rolled.sort(dim=1).values == fbank).all()
    assert ((steps == 1).sum(dim=1) == 63).all() and ((steps == -63).sum(dim=1) == 1).all()
    assert len({row[0, 0].item() for row in rolled}) > 1


@pytest.mark.parametrize("options", [PerturbOptions(), PerturbOptions(noise=False)])
def test_a_row_is_perturbed_the_same_wherever_it_is_computed(options):
    fbank = torch.randn(4, 64, 8)

    whole = perturb(fbank, stream(), options)

    assert torch.equal(whole[2:], perturb(fbank[2:], stream(range(2, 4)), options))
    assert not torch.equal(whole, perturb(fbank, stream(step=1), options))
