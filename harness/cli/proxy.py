"""`harness proxy`: the fault proxy on its own."""

import click

from harness.faultproxy.server import main as serve_fault_proxy


@click.group()
def proxy() -> None:
    """Use the fault proxy without the rest: it speaks Toxiproxy's HTTP API."""


@proxy.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    add_help_option=False,
    options_metavar="[-host HOST] [-port PORT] [-config FILE] [-seed N]",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> int:
    """Serve until SIGTERM, in place of toxiproxy-server: same options, config file and API; --help lists them."""
    return serve_fault_proxy(arguments, command="harness proxy serve")
