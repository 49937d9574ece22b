"""Commands about stacks and what they may leave: up, down, recover, doctor."""

import asyncio
import os
import signal
import time
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from harness.faults.safety.recover import recover as recover_now
from harness.faults.safety.registry import Registered, live_runs
from harness.model.errors import ExitCode, HarnessError
from harness.model.run.events import Event, Kind
from harness.runner.interruption import interruptible
from harness.runner.library import sample_target
from harness.runner.planning import check_protections, load_runnable_target
from harness.workflows.doctor import Symptom, examine
from harness.workflows.standing import Addresses, stand

_DOWN_LIMIT_S = 15.0


@click.command()
@click.option("--target", type=click.Path(path_type=Path), help="Target file; the sample stack without it.")
@click.option("--without", multiple=True, metavar="PROTECTION", help="Switch a declared protection off.")
@click.option("--otlp", metavar="URL", help="Where the services send their traces; without it they are dropped.")
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder for logs."
)
def up(target: Path | None, without: tuple[str, ...], otlp: str | None, runs: Path) -> None:
    """Start a stack and hold it until Ctrl-C or `harness down`; prints its addresses."""
    loaded = load_runnable_target(target or sample_target())
    names = check_protections(without, loaded)

    async def hold() -> None:
        with interruptible() as interruption:
            await stand(
                loaded,
                runs=runs,
                otlp=otlp,
                without=names,
                listen=_tell,
                ready=_show_addresses,
                interruption=interruption,
            )

    asyncio.run(hold())


def _tell(event: Event) -> None:
    if event.kind is Kind.NOTE:
        click.echo(event.text("text"), err=True)
    elif event.kind is Kind.PROCESS_STARTED:
        click.echo(f"  started {event.text('service')}", err=True)


def _show_addresses(addresses: Addresses) -> None:
    click.echo(f"entry      {addresses.entry}")
    click.echo(f"fault API  http://{addresses.proxy_api}   (Toxiproxy's HTTP API, one proxy a link)")
    for name, url in sorted(addresses.services.items()):
        click.echo(f"metrics    {name:<12} {url}")
    click.echo(f"logs       {addresses.folder / 'logs-raw'}")
    click.echo(f"up; `harness run SCENARIO --on {addresses.name}` uses it, Ctrl-C or `harness down` ends it")


@click.command()
def down() -> None:
    """End every run and standing stack of this user, from any terminal."""
    runs = live_runs()
    if not runs:
        click.echo("nothing is up")
        return
    for run in runs:
        click.echo(f"ending {run.run_id} (pid {run.pid})")
        os.kill(run.pid, signal.SIGTERM)
    stubborn = _wait_until_gone(runs)
    if stubborn:
        msg = f"still there after {_DOWN_LIMIT_S:g}s: {', '.join(run.run_id for run in stubborn)}"
        raise HarnessError(msg, hint="`harness recover --force` ends them")


def _wait_until_gone(runs: list[Registered]) -> list[Registered]:
    give_up = time.monotonic() + _DOWN_LIMIT_S
    while any(run.harness_lives for run in runs) and time.monotonic() < give_up:
        time.sleep(0.1)
    return [run for run in runs if run.harness_lives]


@click.command()
@click.option("--force", is_flag=True, help="Also end runs that are alive.")
@click.pass_context
def recover(context: click.Context, force: bool) -> None:
    """Undo whatever an earlier run left: faults, processes, folders; says what it found."""
    report = recover_now(force=force)
    for title, lines in (
        ("alive, left alone", report.live),
        ("found", report.found),
        ("undone", report.undone),
        ("NOT undone", report.failed),
    ):
        for line in lines:
            click.echo(f"{title}: {line}")
    if not report.found and not report.failed:
        click.echo("nothing was left behind")
    context.exit(ExitCode.HELD if report.clean else ExitCode.NOT_ROLLED_BACK)


@click.command()
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), help="Folder for recordings.")
@click.pass_context
def doctor(context: click.Context, runs: Path) -> None:
    """Look whether everything is here that a run needs, and whether anything was left behind."""
    console = Console(highlight=False, soft_wrap=True)
    symptoms = []
    for symptom in examine(runs):
        symptoms.append(symptom)
        console.print(_line(symptom))
    sick = any(s.fatal and not s.healthy for s in symptoms)
    context.exit(ExitCode.COULD_NOT_RUN if sick else ExitCode.HELD)


def _line(symptom: Symptom) -> str:
    mark = "[green]ok  [/]" if symptom.healthy else "[red]bad [/]" if symptom.fatal else "[yellow]look[/]"
    remedy = f"  [bold]next:[/] {escape(symptom.remedy)}" if symptom.remedy else ""
    return f"{mark} {symptom.what:<13} {escape(symptom.seen)}{remedy}"
