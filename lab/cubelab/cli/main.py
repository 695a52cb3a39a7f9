"""The `cubelab` command: the lab around the proxy, a file a subject."""

from __future__ import annotations

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
    app()


if __name__ == "__main__":
    main()
