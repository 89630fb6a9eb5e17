"""Which room of cavmae/ may import which: the table of training/README.md, read there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import cavmae

ROOT = Path(cavmae.__file__).parent
README = ROOT.parent / "README.md"


def may_import() -> dict[str, set[str]]:
    """{room: rooms}, as the README says."""
    rows = re.findall(r"^\| `(\w+)/` \|([^|]*)\|", README.read_text(encoding="utf-8"), re.MULTILINE)
    return {room: set(re.findall(r"`(\w+)`", named)) for room, named in rows}


def imports() -> Iterator[tuple[str, str, str]]:
    """(file, its room, the room or the file outside of rooms that it imports)"""
    for path in sorted(ROOT.rglob("*.py")):
        file = path.relative_to(ROOT)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                package = file.parts[: len(file.parts) - node.level]
                named = [*package, *(node.module.split(".") if node.module else [alias.name for alias in node.names])]
                yield str(file), file.parts[0], named[0]


def test_lets_imports_go_one_way_down_the_road():
    allowed = may_import()

    wrong = [
        (file, target)
        for file, room, target in imports()
        if room in allowed and target in allowed and target != room and target not in allowed[room]
    ]

    assert wrong == []


def test_keeps_the_files_outside_of_rooms_from_knowing_any():
    rooms = may_import()

    wrong = [
        (file, target)
        for file, room, target in imports()
        if room not in rooms and room != "__main__.py" and target in rooms
    ]

    assert wrong == []


def test_names_every_room_and_every_file_outside_of_rooms_in_the_readme():
    text = README.read_text(encoding="utf-8")

    assert may_import().keys() == {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert all(f"`{path.name}`" in text for path in ROOT.glob("[a-z]*.py"))
