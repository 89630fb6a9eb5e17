import math

import numpy as np
import pytest

from cavmae.evaluate.metrics import (
    average_precision,
    bootstrapped,
    counts,
    d_prime,
    measured,
    recall,
    reciprocal,
    resamples,
    roc_auc,
    strict_ranks,
)


def with_ties(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Scores of which many are equal, and a quarter of positives."""
    random = np.random.default_rng(seed)
    return random.integers(0, 12, n) / 12, random.random(n) < 0.25


def plain_average_precision(scores, hit) -> float:
    precisions = []
    for own in (s for s, h in zip(scores, hit, strict=True) if h):
        above = [h for s, h in zip(scores, hit, strict=True) if s >= own]
        precisions.append(sum(above) / len(above))
    return sum(precisions) / len(precisions)


def plain_auc(scores, hit) -> float:
    positives = [s for s, h in zip(scores, hit, strict=True) if h]
    negatives = [s for s, h in zip(scores, hit, strict=True) if not h]
    won = sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)
    return won / (len(positives) * len(negatives))


def test_equal_scores_count_against():
    assert strict_ranks(np.array([[0.9, 0.1, 0.2], [0.5, 0.5, 0.5], [0.3, 0.4, 0.1]])).tolist() == [1, 3, 3]


def test_ranks_are_those_of_a_plain_loop():
    similarity = np.random.default_rng(0).integers(0, 9, (20, 20))

    plain = [sum(score >= row[i] for score in row) for i, row in enumerate(similarity)]

    assert strict_ranks(similarity).tolist() == plain


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_an_error(bad):
    scores = np.array([[1.0, 0.5], [bad, 0.2]])

    with pytest.raises(ValueError, match="got 1 of 4"):
        strict_ranks(scores)
    with pytest.raises(ValueError, match="Expected finite scores"):
        average_precision(scores[1], np.array([True, False]))
    with pytest.raises(ValueError, match="Expected finite scores"):
        roc_auc(scores[1], np.array([True, False]))


def test_recall_and_reciprocal_rank_by_hand():
    ranks = np.array([1, 2, 10, 11])

    assert [recall(ranks, k) for k in (1, 5, 10)] == [0.25, 0.5, 0.75]
    assert reciprocal(ranks) == pytest.approx((1 + 1 / 2 + 1 / 10 + 1 / 11) / 4)


def test_average_precision_by_hand():
    assert average_precision(np.array([4.0, 3, 2, 1]), np.array([1, 0, 1, 0], bool)) == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_and_auc_are_those_of_plain_loops(seed):
    scores, hit = with_ties(seed)

    assert average_precision(scores, hit) == pytest.approx(plain_average_precision(scores, hit), abs=1e-12)
    assert roc_auc(scores, hit) == pytest.approx(plain_auc(scores, hit), abs=1e-12)


def test_a_class_without_positives_has_no_value():
    scores, none = np.array([0.2, 0.1]), np.zeros(2, bool)

    assert np.isnan(average_precision(scores, none)) and np.isnan(roc_auc(scores, none))


def test_a_weight_is_how_often_an_item_was_drawn():
    scores, hit = with_ties(0)
    rows = resamples(len(scores), draws=20)

    precision, auc = average_precision(scores, hit, counts(rows)), roc_auc(scores, hit, counts(rows))

    assert precision == pytest.approx([plain_average_precision(scores[row], hit[row]) for row in rows])
    assert auc == pytest.approx([plain_auc(scores[row], hit[row]) for row in rows])


def test_d_prime_is_the_distance_of_two_gaussians():
    random = np.random.default_rng(0)
    scores = np.concatenate([random.normal(1.5, 1, 20_000), random.normal(0, 1, 20_000)])

    assert d_prime(float(roc_auc(scores, np.arange(40_000) < 20_000))) == pytest.approx(1.5, abs=0.05)
    assert d_prime(0.5) == 0 and d_prime(1.0) == math.inf and d_prime(0.0) == -math.inf


def test_the_bootstrap_is_reproducible_and_as_wide_as_theory_says():
    values = np.arange(400) < 100

    once, again, other = (bootstrapped("", 100.0 * values, lambda v: v.mean(-1), "", 6, seed) for seed in (0, 0, 1))

    assert once == again and once.interval != other.interval
    half = 1.96 * 100 * math.sqrt(0.25 * 0.75 / 400)
    assert once.value == 25 and once.interval == pytest.approx((25 - half, 25 + half), abs=0.5)


def test_nothing_cannot_be_measured():
    with pytest.raises(ValueError, match="got none"):
        resamples(0)


def test_an_infinite_draw_does_not_spoil_the_interval():
    assert measured("d'", 2.0, np.array([1.0, 2.0, math.inf]), "", 1).interval == (1.0, math.inf)
