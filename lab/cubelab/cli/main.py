"""The `cubelab` command: the lab around the proxy, a file a subject."""

from __future__ import annotations

import sys

import typer

from cubelab.cli import boot, cucm, eavesdrop, phone, wire
from cubelab.demo import command as demo
from cubelab.pki.command import app as pki

app = typer.Typer(
    name="cubelab",
    help="A lab for cubeproxy: virtual phones and CUCM, wires that may be bad, an eavesdropper, certificates.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(pki, name="pki")
app.command("phone")(phone.command)
app.command("boot")(boot.command)
app.command("cucm")(cucm.command)
app.command("wire")(wire.command)
app.command("eavesdrop")(eavesdrop.command)
app.command("demo")(demo.command)


def main() -> None:
    """Files and addresses that cannot be had are the user's to put right: a line, no traceback."""
    try:
        app()
    except OSError as error:
        what = f"{error.filename}: " if error.filename is not None else ""
        print(f"cubelab: {what}{error.strerror or error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
