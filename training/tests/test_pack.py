import pytest

from cavmae.data.audioset import audioset_labels, audioset_map
from cavmae.data.pack import Item, WeakPairs, label_vector, skipping
from cavmae.media.decode import BadSample


def item(key: str, concept: str | None, audioset=()) -> Item:
    return Item(key, "shard", "source", key, "CC0", True, "train", concept, tuple(audioset))


def test_bad_samples_are_skipped_and_counted(capsys):
    def load(number: int) -> int:
        if number % 3 == 0:
            raise BadSample(f"number {number}")
        return number * 10

    kept = list(skipping(range(50), load))

    assert kept == [(n, 10 * n) for n in range(50) if n % 3]
    assert "skipped 17 bad samples, first: number 0" in capsys.readouterr().err


def test_weak_pairs_share_a_concept_and_thin_concepts_are_rare():
    sounds = [item(f"s-{c}-{i}", c) for c, n in (("dog", 50), ("harp", 50), ("rain", 5)) for i in range(n)]
    pictures = [item(f"p-{c}-{i}", c) for c, n in (("dog", 50), ("harp", 2), ("sun", 9)) for i in range(n)]

    drawn = [WeakPairs(sounds, pictures, seed).draw() for seed in range(200)]

    assert all(sound.concept == picture.concept for sound, picture, _ in drawn)
    assert {sound.concept for sound, _, _ in drawn} == {"dog", "harp"}
    assert sum(sound.concept == "harp" for sound, _, _ in drawn) < 60
    with pytest.raises(ValueError, match="at least one concept"):
        WeakPairs(sounds, [item("x", None)])


def test_labels_and_map_are_complete():
    assert len(audioset_labels()) == 527 and audioset_labels()[0] == {"index": 0, "mid": "/m/09x0r", "name": "Speech"}
    table = audioset_map()
    assert table.shape == (1000, 527) and (table.max(1) > 0).sum() > 900 and table.max() <= 1
    assert label_vector(item("x", None, ["/m/09x0r"])).nonzero()[0].tolist() == [0]
