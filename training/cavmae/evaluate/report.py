"""A report in Markdown: what was run on what, the numbers, and their pictures as PNG beside it."""

import platform
import shlex
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from .metrics import Metric, table
from .plots import Result, figures

PACKAGES = ("numpy", "onnxruntime", "torch")


def write_report(path: Path, argv: Sequence[str], bundle: dict, metrics: list[Metric], results: list[Result]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"# Evaluation of {bundle['name']}",
        "",
        f"- command: `python -m cavmae {shlex.join(argv)}`",
        f"- bundle: {bundle['name']}, fingerprint `{bundle['fingerprint']}`",
        f"- versions: Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in PACKAGES)}",
        "",
        table(metrics),
        "",
        "Ranks are strict: equal scores count against. Intervals are 95 %, bootstrap over the items.",
    ]
    for number, result in enumerate(results, 1):
        lines += ["", f"## {result.data}"]
        for part, (caption, figure) in enumerate(figures(result).items(), 1):
            picture = path.with_name(f"{path.stem}-{number}-{part}.png")
            figure.savefig(picture, dpi=150)
            lines += ["", f"{caption}:", "", f"![{caption}]({picture.name})"]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
