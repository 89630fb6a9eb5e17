"""One configuration a run: defaults, then the file of --config, then flags. A run is a dataclass of dataclasses."""

import argparse
import json
import tomllib
from dataclasses import MISSING, Field, asdict, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def add_flags(parser: argparse.ArgumentParser, run: type) -> None:
    """A flag for each field of each section. What is not given leaves no trace, so that the file's word stands."""
    for section, options in get_type_hints(run).items():
        group = parser.add_argument_group(section)
        for field in fields(options):
            flag, kind = "--" + field.name.replace("_", "-"), plain_type(options, field.name)
            told = {"dest": f"{section}.{field.name}", "default": argparse.SUPPRESS}
            told["help"] = _help(run, section, field)
            if kind is bool:
                group.add_argument(flag, action=argparse.BooleanOptionalAction, **told)
            elif get_origin(kind) is Literal:
                group.add_argument(flag, choices=get_args(kind), **told)
            else:
                group.add_argument(flag, type=kind, metavar=kind.__name__.upper(), **told)


def _help(run: type, section: str, field: Field) -> str | None:
    default = defaults(run).get(section, {}).get(field.name, field.default)
    return None if default is MISSING else f"default: {default}"


def defaults(run: type) -> dict[str, dict]:
    """Of the sections that have them."""
    return {section.name: asdict(section.default) for section in fields(run) if section.default is not MISSING}


def given_flags(args: argparse.Namespace) -> dict[str, dict]:
    """The flags that were given, by section."""
    given: dict[str, dict] = {}
    for name, value in vars(args).items():
        section, dot, field = name.partition(".")
        if dot:
            given.setdefault(section, {})[field] = value
    return given


def read_toml(path: Path) -> dict[str, dict]:
    with path.open("rb") as file:
        return tomllib.load(file)


def assemble(run: type[T], *layers: dict[str, dict]) -> T:
    """A run from tables of sections, the later ones overriding."""
    sections = get_type_hints(run)
    tables = {name: {} for name in sections} | defaults(run)
    for layer in layers:
        for section, table in layer.items():
            if section not in sections:
                raise ValueError(f"Expected one of the sections {', '.join(sections)}, got [{section}]")
            tables[section] |= table
    return run(**{name: _section(name, options, tables[name]) for name, options in sections.items()})


def _section(section: str, options: type, table: dict) -> Any:
    known = [field.name for field in fields(options)]
    for name in table:
        if name not in known:
            raise ValueError(f"Expected one of {', '.join(known)} in [{section}], got {name}")
    return options(**{name: _value(f"{section}.{name}", options, name, value) for name, value in table.items()})


def _value(label: str, options: type, name: str, value: Any) -> Any:
    kind = plain_type(options, name)
    if value is None or get_origin(kind) is Literal:
        return value
    accepted = {float: (int, float), Path: (str, Path)}.get(kind, (kind,))
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"Expected {label} to be {kind.__name__}, got {value!r}")
    return kind(value)


def plain_type(options: type, name: str) -> Any:
    """A field's type, less the None of what is optional."""
    kind = get_type_hints(options)[name]
    return (
        next((inner for inner in get_args(kind) if inner is not NoneType), kind) if NoneType in get_args(kind) else kind
    )


def check_choices(options: Any) -> None:
    """Refuses a value that the Literal of its field does not name."""
    for name, kind in get_type_hints(type(options)).items():
        value = getattr(options, name)
        if get_origin(kind) is Literal and value not in get_args(kind):
            raise ValueError(f"Expected {name} to be one of {', '.join(get_args(kind))}, got {value!r}")


def check_least(options: Any, **least: float) -> None:
    """Refuses a value below the least that makes sense."""
    for name, bound in least.items():
        if not getattr(options, name) >= bound:
            raise ValueError(f"Expected {name} to be {bound} or more, got {getattr(options, name)}")


def as_tables(run: Any) -> dict[str, dict]:
    """A run as plain values; what is not set is left out."""
    return {
        section: {
            name: str(value) if isinstance(value, Path) else value for name, value in table.items() if value is not None
        }
        for section, table in asdict(run).items()
    }


def write_toml(path: Path, run: Any) -> None:
    """As --config reads it."""
    lines = []
    for section, table in as_tables(run).items():
        lines += [f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in table.items()), ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")
