"""`harness faults`: every kind of fault there is, and whether it is available on this machine."""

import json
from collections.abc import Iterable

import click
from rich.console import Console
from rich.markup import escape

from harness.cli.exit_codes import EPILOG
from harness.faults.kinds.catalogue import FaultKind, why_kind_missing
from harness.faults.kinds.parameters import Parameter, parameters_of
from harness.model.errors import UsageError
from harness.model.files.fault_kinds.declared import every_kind, old_names
from harness.model.files.source import did_you_mean


@click.command("faults", epilog=EPILOG)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the catalogue as JSON.")
def list_faults(name: str | None, as_json: bool) -> None:
    """List the catalogue of faults, or all about the one called NAME: place, parameters, example and effect."""
    catalogue = every_kind()
    name = _todays(name)
    if name is not None and name not in catalogue:
        msg = f"no fault is called {name!r}{did_you_mean(name, catalogue)}"
        raise UsageError(msg, hint="`harness faults` lists them all")
    kinds = [catalogue[name]] if name is not None else list(catalogue.values())
    if as_json:
        click.echo(json.dumps([_row(kind) for kind in kinds], indent=1, ensure_ascii=False))
    elif name is not None:
        _tell(kinds[0])
    else:
        _draw(kinds)


def _todays(name: str | None) -> str | None:
    """Return the name that the kind called *name* has today, and say so."""
    today = old_names(every_kind().values()).get(name or "")
    if today is not None:
        click.echo(f"{name!r} is an old name of {today!r}", err=True)
    return today or name


def _row(kind: FaultKind) -> dict[str, object]:
    why = why_kind_missing(kind)
    return {
        "name": kind.name,
        "place": kind.place.value,
        "does": kind.does,
        "parameters": [_written(parameter) for parameter in parameters_of(kind.name)],
        "example": kind.example,
        "observed": kind.observed,
        "rolled_back": kind.rolled_back,
        "formerly": list(kind.formerly),
        "plugin": kind.origin,
        "platforms": kind.platforms,
        "available": not why,
        "why_not": why,
    }


def _written(parameter: Parameter) -> dict[str, str]:
    return {"name": parameter.name, "type": parameter.type, "default": parameter.default, "about": parameter.about}


def _tell(kind: FaultKind) -> None:
    why = why_kind_missing(kind)
    click.echo(f"{kind.name}: {kind.does}")
    for title, text in (
        ("place", kind.place.value),
        ("example", f"- {{{kind.example}}}"),
        ("observed", kind.observed),
        ("undone", kind.rolled_back),
        ("platforms", kind.platforms),
        ("here", f"not available: {why}" if why else "available"),
        *((("formerly", ", ".join(kind.formerly)),) if kind.formerly else ()),
        *((("plugin", kind.origin),) if kind.origin else ()),
    ):
        click.echo(f"  {title:<11}{text}")
    for number, parameter in enumerate(parameters_of(kind.name)):
        default = f", {parameter.default} unless given" if parameter.default else ""
        about = f": {parameter.about}" if parameter.about else ""
        click.echo(f"  {'' if number else 'parameters':<11}{parameter.name} ({parameter.type}{default}){about}")


def _draw(kinds: Iterable[FaultKind]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for kind in kinds:
        why = why_kind_missing(kind)
        here = f"  [yellow]not here: {escape(why)}[/]" if why else ""
        console.print(f"[bold]{kind.name:<20}[/]{kind.place.value:<12}{escape(kind.does)}{here}")
        console.print(f"{'':<32}[dim]- {{{escape(kind.example)}}}[/]")
    console.print("all about one: `harness faults NAME`; every fault also takes start, duration and repeat")
