import dataclasses
import json

import pytest
import torch
import torch.nn.functional as F

from cavmae.bundles.import_cavmae import ImportOptions, import_bundle
from cavmae.model.cav_mae import contrastive_loss, draw_mask, mae_loss, patches
from cavmae.model.config import SIZES
from cavmae.model.encoders import AudioEncoder, VisualEncoder
from cavmae.model.published import read
from cavmae.model.sync import CavMaeSync, window_starts, windows
from cavmae.randomness import RowRandom

from .slow_cavmae import Slow
from .test_published import assert_close, check_graph, published_file

NARROW = dataclasses.replace(
    SIZES["base"], dim=128, heads=2, tower_depth=2, decoder_dim=64, decoder_heads=2, decoder_depth=1,
    kind="sync", frames=416, windows=16, registers=8,
)  # fmt: skip
SMALL = dataclasses.replace(NARROW, tower_depth=1, image=64, frames=96, registers=2)


def test_windows_are_the_papers():
    assert window_starts(1024, 416, 16) == [0, 0, 0, 0, 48, 112, 176, 240, 304, 368, 432, 496, 560, 608, 608, 608]

    fbank = torch.arange(1024.0)[None, :, None].expand(2, -1, 128)
    cut = windows(fbank, 416, 16)

    assert cut.shape == (2, 16, 416, 128)
    assert cut[1, 5, :, 0].tolist() == list(range(112, 528))


def test_retrieval_is_that_of_the_slow_reference(tmp_path):
    slow = Slow(published_file(tmp_path / "sync.pth", "sync", NARROW), NARROW.heads)
    fbank, image = torch.randn(1, 416, 128), torch.randn(1, 3, 224, 224)

    model = read(tmp_path / "sync.pth").model
    with torch.no_grad():
        audio, visual = model.encode_audio(fbank)[0], model.encode_visual(image)[0]

    assert audio.shape == visual.shape == (1, 1, 128)
    assert_close(F.normalize(audio[0, 0], dim=0), slow.sync_retrieval(slow.tokens_a(fbank[0]), "a"))
    assert_close(F.normalize(visual[0, 0], dim=0), slow.sync_retrieval(slow.tokens_v(image[0]), "v"))


def test_reconstruction_sees_patches_alone_and_contrast_the_class_tokens():
    model = CavMaeSync(dataclasses.replace(SMALL, contrast_weight=0.5))
    slow = Slow(model.state_dict(), SMALL.heads)
    fbank, image = torch.randn(3, 96, 128), torch.randn(3, 3, 64, 64)

    with torch.no_grad():
        losses = model(fbank, image, RowRandom(0, 0, range(3), "masks"))

    random = RowRandom(0, 0, range(3), "masks")
    mask_a, mask_v = draw_mask(random, (8, 6), 0.75), draw_mask(random, (4, 4), 0.75)
    pooled, joint = [], []
    for i in range(3):
        towers = [
            slow.sync_tower(slow.tokens_a(fbank[i])[mask_a.keep[i]], "a"),
            slow.sync_tower(slow.tokens_v(image[i])[mask_v.keep[i]], "v"),
        ]
        pooled.append([slow.own(tower, modality)[0] for tower, modality in zip(towers, "av", strict=True)])
        joint.append(slow.joint(torch.cat([tower[1:] for tower in towers])))
    audio, visual = (torch.stack(side).float() for side in zip(*pooled, strict=True))
    with torch.no_grad():
        predicted_a, predicted_v = model.decode(torch.stack(joint).float(), mask_a, mask_v)
    target_a, target_v = patches(fbank.transpose(1, 2)[:, None], (8, 6)), patches(image, (4, 4))

    assert losses.contrast.item() == pytest.approx(contrastive_loss(audio, visual, None, 0.05, False).item(), rel=1e-4)
    assert losses.mae_audio.item() == pytest.approx(mae_loss(predicted_a, target_a, mask_a, True).item(), rel=1e-4)
    assert losses.mae_visual.item() == pytest.approx(mae_loss(predicted_v, target_v, mask_v, True).item(), rel=1e-4)
    expected = losses.mae_audio + losses.mae_visual + 0.5 * losses.contrast
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_bundle_has_segments_of_one_window(tmp_path):
    published_file(tmp_path / "sync.pth", "sync", dataclasses.replace(NARROW, dim=64, heads=1, tower_depth=1))

    import_bundle(tmp_path / "sync.pth", tmp_path / "bundle", ImportOptions())

    bundle = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    model = read(tmp_path / "sync.pth").model
    assert bundle["audio"] == {"sampleRateHz": 16_000, "samples": 66_800, "channels": "first"}
    assert bundle["model"]["kind"] == "sync" and bundle["tagging"] is None
    check_graph(tmp_path / "bundle", "audio", AudioEncoder(model, ("embedding", "tokens")))
    check_graph(tmp_path / "bundle", "visual", VisualEncoder(model, ("embedding", "tokens")))
