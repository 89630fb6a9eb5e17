import torch
import torch.nn.functional as F
from torch import nn

from cavmae.model.heads import AudioHead, Bridge, Dual, Pool, Reach, Residual, VisualHead, merge, principal_axes


def axes(width: int) -> torch.Tensor:
    return principal_axes(torch.randn(50, width), 4)


def heads() -> list[tuple[nn.Module, int]]:
    def bridge() -> Bridge:
        return Bridge(0.6, 0.1 * torch.rand(20), 1 + torch.rand(20), torch.linalg.qr(torch.randn(20, 8))[0])

    def residual(width: int) -> Residual:
        made = Residual(torch.randn(width), 1 + torch.rand(width), 16, 8)
        nn.init.normal_(made.fc2.weight, std=0.2)
        return made

    classifier = nn.Sequential(nn.Linear(12, 32), nn.Hardswish(), nn.Linear(32, 20))
    table = torch.rand(30, 20) * (torch.rand(30, 20) > 0.7)
    audio = AudioHead(classifier, bridge(), residual(12), axes(12))
    visual = VisualHead(nn.Linear(10, 30), bridge(), residual(10), axes(10), table)
    return [(audio.eval(), 12), (visual.eval(), 10)]


def test_tokens_are_the_jacobian_of_the_head_along_its_axes():
    for head, width in heads():
        tokens = torch.randn(2, 7, width)

        def out(pool, head=head):  # [B, C] -> un-normalised embedding
            pair = Pool(pool[:, None], torch.zeros(len(pool), 1, 4), head.axes)
            return head.bridge(head.scores(pair)[0]).plus(head.residual(pair)).value[:, 0]

        mean = tokens.mean(1)
        shares = head(tokens)[1]

        for n in range(7):
            along = (tokens[:, n] - mean) @ head.axes.T @ head.axes
            value, change = torch.func.jvp(out, (mean,), (along,))
            assert torch.allclose(shares[:, n], value + change, atol=1e-4)


def test_the_mean_of_the_tokens_is_the_embedding_before_its_norm():
    for head, width in heads():
        embedding, tokens, _, _ = head(torch.randn(3, 5, width))

        assert torch.allclose(F.normalize(tokens.mean(1), dim=-1), embedding, atol=1e-5)


def test_merged_residuals_are_their_mean():
    mean, std = torch.randn(6), 1 + torch.rand(6)
    residuals = [Residual(mean, std, 5, 4).eval() for _ in range(3)]
    pool = torch.randn(2, 6)

    expected = torch.stack([r.plain(pool) for r in residuals]).mean(0)

    assert torch.allclose(merge(residuals).eval().plain(pool), expected, atol=1e-6)
    assert torch.allclose(merge(residuals, 0.5).eval().plain(pool), 0.5 * expected, atol=1e-6)


def test_projecting_scores_is_the_bridge_without_tangents():
    for head, _ in heads():
        scores = torch.rand(5, 20)
        carried = head.bridge(Dual(scores[:, None], torch.zeros(5, 1, 20))).value[:, 0]

        assert torch.allclose(head.bridge.project(scores), carried, atol=1e-6)


def test_principal_axes_are_orthonormal_and_hold_most_of_the_variation():
    pool = torch.randn(200, 6) * torch.tensor([5.0, 0.1, 3.0, 0.1, 0.1, 0.1])

    found = principal_axes(pool, 2)

    assert torch.allclose(found @ found.T, torch.eye(2), atol=1e-5)
    assert found[:, [0, 2]].square().sum() > 1.99


def test_reach_is_one_among_the_pools_and_nothing_far_from_them():
    pools = torch.randn(400, 6) * torch.tensor([5.0, 0.1, 3.0, 1.0, 1.0, 1.0])
    reach = Reach.of(pools, 4, 0.9)

    within = (reach(pools) > 0.5).float().mean()

    assert abs(within - 0.9) < 0.01
    assert reach(pools.mean(0)) > 0.99
    assert reach(pools.mean(0) + torch.tensor([0.0, 0.0, 30.0, 0.0, 0.0, 0.0])) < 1e-3


def test_out_of_reach_a_head_is_its_bridge():
    for head, width in heads():
        tokens = torch.randn(3, 5, width)
        near, far = Reach(torch.zeros(width), torch.eye(width), 1e3), Reach(torch.zeros(width), torch.eye(width), -1e3)
        whole = head(tokens)[1]

        head.reach = near
        assert torch.allclose(head(tokens)[1], whole, atol=1e-5)
        head.reach = far
        beyond = head(tokens)
        head.residual = None
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(beyond, head(tokens), strict=True))
