import numpy as np
import pytest

from cavmae.evaluate import average_precision, concept_metrics, retrieval_metrics, strict_ranks


def test_equal_scores_count_against():
    assert strict_ranks(np.array([[0.9, 0.1, 0.2], [0.5, 0.5, 0.5], [0.3, 0.4, 0.1]])).tolist() == [1, 3, 3]


def test_perfect_retrieval_is_a_hundred_per_cent():
    metrics = {m.name: m for m in retrieval_metrics(np.eye(12), np.eye(12), "made up")}

    assert metrics["R@1 sound→picture [%]"].value == 100 and metrics["median rank picture→sound"].value == 1
    assert metrics["R@1 sound→picture [%]"].interval == (100, 100)


def test_average_precision_by_hand():
    assert average_precision(np.array([4.0, 3, 2, 1]), np.array([1, 0, 1, 0], bool)) == pytest.approx((1 + 2 / 3) / 2)


def test_concept_metrics_weigh_concepts_evenly():
    similarity = np.array([[1.0, 0], [1, 0], [1, 0]])

    there, _ = concept_metrics(similarity, np.array(["a", "a", "b"]), np.array(["a", "b"]))

    assert there.value == 75
