import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from cavmae.__main__ import main
from cavmae.evaluate.inpaint import fill, inpaint, unpatch
from cavmae.model import checkpoint
from cavmae.model.cav_mae import CavMae, Mask, patches

from .lavfi import brightening, make, tone
from .synthetic import MICRO

GRID = (2, 3)


def half_hidden() -> Mask:
    """Of six cells the odd ones are masked."""
    hidden = torch.tensor([[0.0, 1, 0, 1, 0, 1]])
    return Mask(torch.tensor([[0, 2, 4]]), torch.tensor([[0, 3, 1, 4, 2, 5]]), hidden)


def hidden_pixels(image: torch.Tensor) -> torch.Tensor:
    cells = half_hidden().hidden[:, :, None].expand(-1, -1, patches(image, GRID).shape[2])
    return unpatch(cells, GRID, image.shape[2:])[0] > 0


@pytest.mark.parametrize(("channels", "size"), [(1, (8, 24)), (3, (10, 9))])
def test_unpatch_is_the_inverse_of_patches(channels, size):
    image = torch.randn(2, channels, *size)

    assert torch.equal(unpatch(patches(image, GRID), GRID, size), image)


def test_what_is_visible_stays_and_what_is_masked_is_the_models():
    image, predicted = torch.randn(1, 3, 8, 12), torch.randn(1, 6, 48)

    result = fill(predicted, image, GRID, half_hidden(), norm_pix=False)

    true, masked, filled = result.stages
    hidden = hidden_pixels(image)
    assert torch.equal(true, image[0]) and torch.equal(masked.isnan(), hidden)
    assert torch.equal(filled[~hidden], image[0][~hidden])
    assert torch.equal(filled[hidden], unpatch(predicted, GRID, (8, 12))[0][hidden])
    error = (predicted - patches(image, GRID))[0, 1::2].square().mean()
    assert result.loss == pytest.approx(error.item())


def test_standardised_patches_get_their_mean_and_spread_back():
    image = 5 + 3 * torch.randn(1, 1, 8, 12)
    cells = patches(image, GRID)
    standardised = (cells - cells.mean(-1, keepdim=True)) / cells.std(-1, keepdim=True)

    result = fill(standardised, image, GRID, half_hidden(), norm_pix=True)

    assert torch.allclose(result.stages[2], image[0], atol=1e-4) and result.loss < 1e-9


def sample() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(0, 0.1, 20_480).astype(np.float32), random.integers(0, 256, (64, 64, 3)).astype(np.uint8)


def test_masks_come_from_the_seed_and_hide_what_was_asked():
    model, config = CavMae(MICRO).eval(), dataclasses.replace(MICRO, audio_mask="time", mask_ratio=0.5)

    (heard, seen), (again, _), (other, _) = (inpaint(model, config, *sample(), seed) for seed in (0, 0, 1))

    assert torch.equal(heard.stages[1].isnan(), again.stages[1].isnan()) and heard.loss == again.loss
    assert not torch.equal(heard.stages[1].isnan(), other.stages[1].isnan())
    assert heard.stages[1].isnan().float().mean() == 0.5 and seen.stages[1].isnan().float().mean() == 0.5
    columns = heard.stages[1][0].isnan()
    assert torch.equal(columns.all(dim=0), columns.any(dim=0))


def test_the_model_does_not_see_what_is_masked():
    model, config = CavMae(MICRO).eval(), dataclasses.replace(MICRO, norm_pix=False)
    sound, frame = sample()
    _, seen = inpaint(model, config, sound, frame, seed=0)
    hidden = seen.stages[1].isnan()

    _, changed = inpaint(model, config, sound, np.where(hidden.permute(1, 2, 0), 255 - frame, frame), seed=0)

    assert torch.equal(seen.stages[2], changed.stages[2]) and not torch.equal(seen.stages[0], changed.stages[0])


def test_a_model_without_decoder_is_refused():
    config = dataclasses.replace(MICRO, decoder_depth=0)

    with pytest.raises(ValueError, match="Expected a checkpoint with a decoder"):
        inpaint(CavMae(config), config, *sample(), seed=0)


def test_a_clip_is_drawn(tmp_path, capsys):
    checkpoint.save(tmp_path / "last.pt", CavMae(MICRO), 0)
    clip = make(tmp_path / "clip.mp4", brightening(2), tone(2))

    main(["inpaint", f"--checkpoint={tmp_path / 'last.pt'}", f"--clip={clip}", f"--out={tmp_path}", "--mask=tf"])

    assert capsys.readouterr().out.strip() == str(tmp_path / "000-clip.png")
    assert Image.open(tmp_path / "000-clip.png").size == (1430, 660)
