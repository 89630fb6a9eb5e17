"""Whom the free part of the pack asks to be named."""

from collections import Counter

from .pack import Item

ATTRIBUTIONS = [
    "ESC-50 clips under CC0 and CC BY, authors in the LICENSE file of github.com/karolpiczak/ESC-50 (ATTRIBUTIONS.md)",
    "Caltech-101, CC BY 4.0, Li, Andreeto, Ranzato, Perona",
    "sonic-pi-samples, CC0; renders with fluid-soundfont-gm, MIT, (c) Frank Wen",
]


def attributions(named: list[str], used: str, sounds: list[Item], pictures: list[Item]) -> str:
    """ATTRIBUTIONS.md: who is named, what the items were used for, and every sound by source and id."""
    lines = ["# Attributions", "", *(f"- {line}" for line in named), ""]
    lines += [
        f"The items below were used to {used}. The authors of the",
        "ESC-50 clips are named in the LICENSE file of github.com/karolpiczak/ESC-50 under these ids.",
        "",
    ]
    for source in sorted({item.source for item in sounds}):
        of_source = [item for item in sounds if item.source == source]
        lines += [f"## {source}: {len(of_source)} sounds", ""]
        for licence in sorted({item.licence for item in of_source}):
            ids = sorted(item.source_id for item in of_source if item.licence == licence)
            lines += [f"{licence}: {', '.join(ids)}", ""]
    for source, count in Counter(item.source for item in pictures).items():
        lines += [f"## {source}: {count} pictures", ""]
    return "\n".join(lines)
