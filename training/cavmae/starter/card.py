"""Model card of the starter bundle."""

from ..bundles.export import metric_rows
from ..data import attributions as pack

ATTRIBUTIONS = [
    "mn04_as of EfficientAT, MIT, (c) 2022 Florian Schmid",
    "EfficientNet-Lite0, Apache-2.0, (c) 2020 ML Illustrated; TensorFlow authors",
    "AudioSet labels and ontology, CC BY 4.0, Google",
    *pack.ATTRIBUTIONS,
]

USED = "fit the means, the PCA and, where there is one, the residual"  # the pack's items

_CARD = """# starter

Finds the sound that goes with a picture and the picture that goes with a sound, and names AudioSet classes in both.
Small enough for one CPU core.

## What

- **Audio**: {samples_s} s at 32 kHz, log-mel in the graph, MobileNetV3 `mn04_as` (frozen), 527 AudioSet scores.
  A shorter sound is repeated to fill the {samples_s} s; under 1 s the answer is weak (64 ESC-50 sounds cut to their
  loudest part, cosine to the whole sound's embedding: 0.1 s .10, 0.3 s .29, 1 s .76, 2 s .90, 5 s .99).
- **Visual**: one frame, its ends beyond 4:3 cut off, the rest squashed to {size} x {size}, EfficientNet-Lite0 (frozen),
  1000 ImageNet scores, times a hand-made map of names to 527 AudioSet classes. A video segment is the mean of {frames}
  frames.
- **Bridge**: the 527 scores to the power of {power}, minus a fixed mean, weighed, unit length, fixed PCA to {dim}
  dimensions, unit length. Nothing in it is trained on pairs; its means, weights and PCA come from the free part of the
  training pack.
{residual}- **Explanations**: `tokens` are first-order shares: the mean of the 32 (4 bands x 8 times) or 49 (7 x 7)
  tokens is the embedding before its norm, exactly.

## Measured

By onnxruntime on the two graphs of this folder. Ranks are strict (equal scores count against); intervals are 95 %
bootstrap over items. None of these sets was trained on. Bench-clips was looked at while the recipe was chosen, so it
flatters a little.

{metrics}

The sound tagger's AudioSet mAP of 43.2 is as stated by its authors, not measured here. Picture logits are what a thing
in the picture probably sounds like; they were never measured as tags.

## Limits

- It knows things that ImageNet names. People, games, kitchens in use are mostly beyond it.
- Single pictures of single instruments or animals are told apart far less well than videos are (bench-pairs).
- It hears 0 to 15 kHz; mono, the mean of all channels. It does not know when within a segment
  picture and sound agree.
- Similarity is not a probability, and is not calibrated between the two directions.

## Licences

Apache-2.0, with these attributions (ATTRIBUTIONS.md lists the clips):

{attributions}

What the frozen networks learnt from AudioSet and ImageNet stands under the terms on which their weights were published.
"""


def starter_card(bundle: dict, residual: str) -> str:
    return _CARD.format(
        samples_s=bundle["audio"]["samples"] // bundle["audio"]["sampleRateHz"],
        frames=bundle["visual"]["framesPerSegment"],
        dim=bundle["embedding"],
        size=bundle["visual"]["width"],
        power=bundle["model"]["options"]["starter"]["power"],
        residual=residual,
        metrics="\n".join(metric_rows(bundle)),
        attributions="\n".join(f"- {line}" for line in bundle["attributions"]),
    )
