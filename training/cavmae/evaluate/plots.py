"""Pictures of what was measured, as matplotlib figures without a display."""

import numpy as np
from matplotlib.figure import Figure

from .metrics import recall, resamples
from .probe import Probe
from .retrieval import ConceptRetrieval, Retrieval
from .tagging import Tagging

COLOURS = ("#2b6cb0", "#dd6b20")  # of the two ways
SHOWN = 15  # classes of each end

Result = Retrieval | ConceptRetrieval | Tagging | Probe


def figures(result: Result) -> dict[str, Figure]:
    """Captions and their figures."""
    match result:
        case Retrieval():
            return {
                "Recall@k with its 95 % interval; dotted: chance": recall_curves(result),
                "Ranks of the own partner": rank_histogram(result),
                "Cosine of every sound with every picture": similarity_matrix(result),
            }
        case ConceptRetrieval():
            return {"Average precision of each concept": concept_bars(result)}
        case Tagging():
            return {f"Average precision of the best and worst classes, {result.name}": class_bars(result)}
        case Probe():
            return {"Share of each class's clips (row) said to be of a class (column)": confusion(result)}


def recall_curves(result: Retrieval) -> Figure:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes, n = figure.subplots(), len(result.keys)
    places = np.arange(1, min(n, 50) + 1)
    for (way, ranks), colour in zip(result.ranks.items(), COLOURS, strict=True):
        draws = ranks[resamples(n)]
        low, high = np.percentile([recall(draws, k) for k in places], (2.5, 97.5), axis=1, method="nearest")
        axes.plot(places, [100 * recall(ranks, k) for k in places], color=colour, label=way)
        axes.fill_between(places, 100 * low, 100 * high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(places, 100 * places / n, color="grey", linestyle=":")
    axes.set(xlabel="k", ylabel="recall@k [%]", xlim=(1, max(2, places[-1])), ylim=(0, 102), title=result.data)
    axes.legend(loc="lower right")
    return figure


def rank_histogram(result: Retrieval) -> Figure:
    figure, n = Figure(figsize=(6, 4), layout="constrained"), len(result.keys)
    edges = np.unique(np.geomspace(1, n + 1, 12).round()) - 0.5
    for axes, (way, ranks), colour in zip(figure.subplots(2, sharex=True), result.ranks.items(), COLOURS, strict=True):
        axes.hist(ranks, bins=edges, color=colour, edgecolor="white")
        axes.axvline(np.median(ranks), color="black", linestyle="--", linewidth=1)
        axes.set(ylabel="queries", title=f"{way}, dashed: median", xscale="log")
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if tick <= n]
    axes.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
    axes.set_xticks([], minor=True)
    axes.set(xlabel="rank")
    return figure


def similarity_matrix(result: Retrieval) -> Figure:
    n = len(result.keys)
    side = min(12, max(5, 0.16 * n))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(result.similarity, cmap="viridis", interpolation="nearest")
    figure.colorbar(image, label="cosine", shrink=0.8)
    axes.set(xlabel="picture", ylabel="sound", title=result.data)
    if n <= 100:
        axes.set_xticks(range(n), result.keys, rotation=90, fontsize=5)
        axes.set_yticks(range(n), result.keys, fontsize=5)
    return figure


def concept_bars(result: ConceptRetrieval) -> Figure:
    (way, there), (back_way, back) = result.precision.items()
    names = sorted(there.keys() & back.keys(), key=lambda name: there[name] + back[name])
    figure = Figure(figsize=(6, 1 + 0.2 * len(names)), layout="constrained")
    axes, rows = figure.subplots(), np.arange(len(names))
    axes.barh(rows + 0.2, [100 * there[name] for name in names], 0.4, color=COLOURS[0], label=way)
    axes.barh(rows - 0.2, [100 * back[name] for name in names], 0.4, color=COLOURS[1], label=back_way)
    axes.set_yticks(rows, names, fontsize=7)
    axes.set(xlabel="average precision [%]", xlim=(0, 100), ylim=(-0.6, len(names) - 0.4), title=result.data)
    axes.legend(loc="lower right")
    return figure


def class_bars(result: Tagging) -> Figure:
    ranked = sorted(result.precision.items(), key=lambda pair: pair[1])
    ends = ranked if len(ranked) <= 2 * SHOWN else [*ranked[:SHOWN], *ranked[-SHOWN:]]
    count = dict(zip(result.classes, result.truth.sum(axis=0), strict=True))
    figure = Figure(figsize=(6, 1 + 0.2 * len(ends)), layout="constrained")
    axes = figure.subplots()
    axes.barh(range(len(ends)), [100 * value for _, value in ends], color=COLOURS[0])
    axes.set_yticks(range(len(ends)), [f"{name} ({count[name]})" for name, _ in ends], fontsize=7)
    axes.set(xlabel="average precision [%]", xlim=(0, 100), ylim=(-0.6, len(ends) - 0.4))
    axes.set_title(f"{result.name}; in brackets: positives")
    if len(ends) < len(ranked):
        axes.axhline(SHOWN - 0.5, color="black", linewidth=1)
    return figure


def confusion(result: Probe) -> Figure:
    table = np.zeros((len(result.classes), len(result.classes)))
    np.add.at(table, (result.truth, result.said), 1)
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(100 * table / table.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, label="clips of the row [%]", shrink=0.8)
    axes.set_xticks(range(len(table)), result.classes, rotation=90, fontsize=6)
    axes.set_yticks(range(len(table)), result.classes, fontsize=6)
    axes.set(xlabel="said", ylabel="true", title=result.data)
    return figure
