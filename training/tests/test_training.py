import dataclasses
import json
from pathlib import Path

import pytest
import torch

from cavmae.bundles.export_cavmae import Release, export_cavmae
from cavmae.model import checkpoint
from cavmae.model.cav_mae import CavMae
from cavmae.model.stems import Mn04
from cavmae.model.sync import CavMaeSync, windows
from cavmae.train.augment import PerturbOptions
from cavmae.train.averaging import WeightAverage
from cavmae.train.distill import DistillOptions
from cavmae.train.finetune import FinetuneRun, Finetuning, TuneOptions, finetune
from cavmae.train.loop import TrainOptions, parameter_groups
from cavmae.train.pretrain import Pretraining, PretrainRun, WeightOptions, pretrain

from .synthetic import MICRO, Stripes

QUICK = TrainOptions(steps=4, batch=4, lr=1e-3, warmup=1, save_every=2, log_every=1, device="cpu", threads=1)


def logged(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def mean(lines: list[dict], name: str) -> float:
    return sum(line[name] for line in lines) / len(lines)


def tensors(state: dict, prefix: str = "") -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint by their path."""
    found = {}
    for name, value in state.items():
        if isinstance(value, dict):
            found |= tensors(value, f"{prefix}{name}.")
        elif isinstance(value, torch.Tensor):
            found[f"{prefix}{name}"] = value
    return found


class Broken(Stripes):
    """Data that cannot be had from one step on."""

    def __init__(self, step: int):
        super().__init__()
        self.step = step

    def batch(self, step, rows):
        if step >= self.step:
            raise OSError("the disk is gone")
        return super().batch(step, rows)


def test_both_losses_learn_what_can_be_learnt(tmp_path):
    options = dataclasses.replace(QUICK, steps=60, lr=3e-3, warmup=5, save_every=60)

    pretrain(PretrainRun(MICRO, train=options), tmp_path, Stripes())

    first, last = logged(tmp_path)[0], logged(tmp_path)[-10:]
    assert mean(last, "contrast") < 0.7 < 1.386 < first["contrast"]  # chance is ln 4
    assert mean(last, "mae_visual") < 0.1 < 1 < first["mae_visual"]
    assert mean(last, "mae_audio") < 0.92 < 1 < first["mae_audio"]


@pytest.mark.parametrize("average", ["ema", "mean"])
def test_a_run_that_was_cut_off_ends_as_if_it_had_not_been(tmp_path, average):
    run = PretrainRun(MICRO, train=dataclasses.replace(QUICK, steps=6, average=average, average_from=0.2))
    pretrain(run, tmp_path / "whole", Stripes())

    with pytest.raises(OSError, match="the disk is gone"):
        pretrain(run, tmp_path / "cut", Broken(step=5))
    assert checkpoint.load(tmp_path / "cut/last.pt")[1]["step"] == 4 and len(logged(tmp_path / "cut")) == 5
    pretrain(run, tmp_path / "cut", Stripes())

    whole, cut = (tensors(torch.load(tmp_path / name / "last.pt")) for name in ("whole", "cut"))
    assert whole.keys() == cut.keys() and any(name.startswith("average") for name in whole)
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert logged(tmp_path / "whole") == logged(tmp_path / "cut")


def test_another_model_is_not_gone_on_with(tmp_path):
    pretrain(PretrainRun(MICRO, train=dataclasses.replace(QUICK, steps=1)), tmp_path, Stripes())

    other = dataclasses.replace(MICRO, audio_mask="tf", temperature=0.1)
    with pytest.raises(ValueError, match=r"temperature 0.05 there, 0.1 here; audio_mask|audio_mask .*; temperature"):
        pretrain(PretrainRun(other, train=QUICK), tmp_path, Stripes(other))


def test_a_run_may_begin_from_a_checkpoint_of_the_same_shapes(tmp_path):
    begun = CavMae(MICRO)
    checkpoint.save(tmp_path / "begun.pt", begun, 0)
    weights = WeightOptions(init=tmp_path / "begun.pt")

    still = dataclasses.replace(QUICK, steps=1, lr=0.0)
    model = pretrain(PretrainRun(MICRO, weights=weights, train=still), tmp_path / "still", Stripes())

    assert all(torch.equal(value, begun.state_dict()[name]) for name, value in model.state_dict().items())
    wider = dataclasses.replace(MICRO, dim=96)
    with pytest.raises(ValueError, match=r"begun.pt, not so: .*norm_a.weight"):
        pretrain(PretrainRun(wider, weights=weights, train=QUICK), tmp_path / "wider", Stripes())


def test_a_checkpoint_of_fewer_fields_still_loads(tmp_path):
    model = CavMae(MICRO)
    checkpoint.save(tmp_path / "old.pt", model, 7)
    state = torch.load(tmp_path / "old.pt")
    for name in ("kind", "contrast_mask_ratio", "windows", "segment_frames", "registers"):
        del state["config"][name]
    state["config"]["seconds"] = MICRO.seconds
    torch.save(state, tmp_path / "old.pt")

    assert torch.equal(checkpoint.load(tmp_path / "old.pt")[0].norm_a.weight, model.norm_a.weight)


def test_a_loss_that_is_no_number_ends_the_run_before_it_is_saved(tmp_path):
    class Spoilt(Stripes):
        def sounds(self, classes, random):
            return super().sounds(classes, random) * float("nan")

    with pytest.raises(FloatingPointError, match="finite losses at step 0"):
        pretrain(PretrainRun(MICRO, train=QUICK), tmp_path, Spoilt())
    assert not (tmp_path / "last.pt").exists()


def test_bfloat16_gives_nearly_the_same_losses(tmp_path):
    for precision in ("fp32", "bf16"):
        options = dataclasses.replace(QUICK, precision=precision)
        model = pretrain(PretrainRun(MICRO, train=options), tmp_path / precision, Stripes())
        assert {value.dtype for value in model.parameters()} == {torch.float32}

    exact, half = logged(tmp_path / "fp32"), logged(tmp_path / "bf16")
    assert [line["total"] for line in half] == pytest.approx([line["total"] for line in exact], rel=0.05)
    assert half != exact


def test_biases_norms_and_vectors_do_not_decay():
    model = CavMae(dataclasses.replace(MICRO, classes=4, decoder_depth=0))
    names = {id(value): name for name, value in model.named_parameters()}

    made = parameter_groups(Finetuning(model, FinetuneRun(TuneOptions(head_lr=10.0))), QUICK)

    placed = {names[id(p)]: (group["lr"], group["weight_decay"]) for group in made for p in group["params"]}
    rate, decay = QUICK.lr, QUICK.weight_decay
    assert placed["blocks_a.0.attn.qkv.weight"] == placed["patch_embed_v.proj.weight"] == (rate, decay)
    for name in ("blocks_u.0.norm1_a.weight", "blocks_a.0.mlp.fc1.bias", "modality_a", "pos_embed_a"):
        assert placed[name] == (rate, 0.0)
    assert placed["mlp_head.1.weight"] == (10 * rate, decay) and placed["mlp_head.1.bias"] == (10 * rate, 0.0)


def test_averages_by_hand():
    net = torch.nn.Linear(1, 1, bias=False)
    plain, moving = WeightAverage("mean", 0.5), WeightAverage("ema", 0.5)

    for value in (1.0, 2.0, 6.0):
        torch.nn.init.constant_(net.weight, value)
        plain.update(net)
        moving.update(net)

    assert plain.weights["weight"].item() == pytest.approx(3.0)
    # Decays 1/10, 2/11, 3/12 at first, .5 at most: 1, then 2/11 * 1 + 9/11 * 2, then 1/4 of that and 3/4 * 6.
    assert moving.weights["weight"].item() == pytest.approx(0.25 * (2 / 11 + 18 / 11) + 0.75 * 6)


def test_the_averaged_weights_are_what_is_loaded(tmp_path):
    options = dataclasses.replace(QUICK, steps=2, save_every=1, average="mean", average_from=0.0, lr=1e-2)
    run = PretrainRun(MICRO, train=options)
    seen = []

    class Watched(Stripes):
        def batch(self, step, rows):
            if (tmp_path / "last.pt").exists():
                seen.append(torch.load(tmp_path / "last.pt")["model"]["norm_a.bias"])
            return super().batch(step, rows)

    for steps in (1, 2):
        pretrain(dataclasses.replace(run, train=dataclasses.replace(options, steps=steps)), tmp_path, Watched())

    last = torch.load(tmp_path / "last.pt")["model"]["norm_a.bias"]
    loaded = checkpoint.load(tmp_path / "last.pt")[0].norm_a.bias
    assert not torch.equal(seen[0], last)
    assert torch.allclose(loaded, (seen[0] + last) / 2)


def test_sync_sees_one_window_and_its_own_picture(tmp_path):
    config = dataclasses.replace(MICRO, kind="sync", frames=64, windows=4, registers=2)
    run = PretrainRun(config, train=QUICK, perturb=PerturbOptions(noise=False, roll=False))
    seen = []

    class Watched(CavMaeSync):
        def forward(self, fbank, image, random, groups):
            seen.append((fbank, image))
            return super().forward(fbank, image, random, groups)

    source = Stripes(config)
    task, batch = Pretraining(Watched(config), run), source.batch(0, slice(0, 4))
    batch.frames.copy_(10 * torch.arange(4)[None, :, None, None, None].expand_as(batch.frames))  # the moment's number
    fbank, pictures = task.frontends(batch)
    for step in range(6):
        losses = task(batch, step, range(4))

    drawn = set()
    for heard, shown in seen:
        for row in range(4):
            moment = next(i for i in range(4) if torch.equal(shown[row], pictures[4 * row + i]))
            assert torch.equal(heard[row], windows(fbank, 64, 4)[row, moment])
            drawn.add(moment)
    assert drawn == {0, 1, 2, 3} and losses["total"].isfinite()
    pretrain(run, tmp_path, source)
    assert isinstance(checkpoint.load(tmp_path / "last.pt")[0], CavMaeSync)


def test_teachers_are_learnt_from_and_left_behind(tmp_path):
    torch.save(Mn04().state_dict(), tmp_path / "mn04.pt")
    run = PretrainRun(
        MICRO,
        weights=WeightOptions(teacher=tmp_path / "mn04.pt"),
        train=dataclasses.replace(QUICK, steps=6, lr=3e-3, save_every=3),
        distill=DistillOptions(feature_weight=1.0, label_weight=1.0),
    )

    pretrain(run, tmp_path / "whole", Stripes())
    with pytest.raises(OSError, match="the disk is gone"):
        pretrain(run, tmp_path / "cut", Broken(step=3))
    pretrain(run, tmp_path / "cut", Stripes())

    lines = logged(tmp_path / "whole")
    assert all(lines[-1][term] < 0.95 * lines[0][term] for term in ("features", "labels"))
    whole, cut = (torch.load(tmp_path / name / "last.pt") for name in ("whole", "cut"))
    assert whole["model"].keys() == CavMae(MICRO).state_dict().keys()
    assert len(whole["beside"]) == 8 and all(name.startswith("pupils.") for name in whole["beside"])
    assert all(torch.equal(value, cut["beside"][name]) for name, value in whole["beside"].items())
    with pytest.raises(ValueError, match="Expected --teacher"):
        pretrain(dataclasses.replace(run, weights=WeightOptions()), tmp_path / "none", Stripes())


@pytest.mark.parametrize(("mode", "loss"), [("joint", "bce"), ("audio", "ce"), ("visual", "bce")])
def test_the_tagging_head_learns(tmp_path, mode, loss):
    checkpoint.save(tmp_path / "pretrained.pt", CavMae(MICRO), 0)
    tune = TuneOptions(tmp_path / "pretrained.pt", mode, loss, head_lr=10.0)
    options = dataclasses.replace(QUICK, steps=20, save_every=10, average="mean")

    tuned = finetune(FinetuneRun(tune, train=options), tmp_path / "out", Stripes())

    lines = logged(tmp_path / "out")
    assert mean(lines[-3:], "total") < 0.9 * mean(lines[:3], "total")
    loaded, state = checkpoint.load(tmp_path / "out/last.pt")
    assert loaded.config.decoder_depth == 0 and loaded.config.classes == 4
    assert state["labels"] == Stripes().labels and state["run"]["tune"]["mode"] == mode
    table = {"joint": "pos_embed_a", "audio": "pos_embed_a", "visual": "pos_embed_v"}[mode]
    assert not torch.equal(getattr(tuned, table), getattr(CavMae(MICRO), table))


def test_a_tagger_goes_on_and_is_exported_as_it_was_begun(tmp_path):
    checkpoint.save(tmp_path / "pretrained.pt", CavMae(MICRO), 0)
    run = FinetuneRun(TuneOptions(tmp_path / "pretrained.pt", "visual"), train=QUICK)
    data = Stripes()
    for label in data.labels:
        del label["mid"]  # as VGGSound's classes have none
    finetune(run, tmp_path / "out", data)

    with pytest.raises(ValueError, match="--mode visual, in which"):
        finetune(dataclasses.replace(run, tune=TuneOptions(mode="joint")), tmp_path / "out", data)
    with pytest.raises(ValueError, match="the classes that"):
        finetune(run, tmp_path / "out", Stripes())
    with pytest.raises(ValueError, match="tuned in, visual, got audio"):
        export_cavmae(tmp_path / "out/last.pt", tmp_path / "bundle", "audio", Release())
    bundle = export_cavmae(tmp_path / "out/last.pt", tmp_path / "bundle", None, Release())
    assert bundle["tagging"]["from"] == ["visual"]
    labels = json.loads((tmp_path / "bundle/labels.json").read_text())
    assert labels[3] == {"index": 3, "mid": "class 3", "name": "class 3"}


def test_a_linear_probe_leaves_the_streams_alone(tmp_path):
    before = CavMae(MICRO)
    checkpoint.save(tmp_path / "pretrained.pt", before, 0)
    run = FinetuneRun(TuneOptions(tmp_path / "pretrained.pt", freeze_base=True), train=QUICK)

    tuned = finetune(run, tmp_path / "out", Stripes()).state_dict()

    kept = [name for name in before.state_dict() if not name.startswith(("decoder", "mask_token"))]
    assert all(torch.equal(tuned[name], before.state_dict()[name]) for name in kept)
    assert tuned["mlp_head.1.bias"].abs().sum() > 0


def test_tensorboard_has_what_the_log_has(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    pretrain(PretrainRun(MICRO, train=QUICK), tmp_path, Stripes())

    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.value for event in board.Scalars("contrast")] == pytest.approx(
        [line["contrast"] for line in logged(tmp_path)]
    )
