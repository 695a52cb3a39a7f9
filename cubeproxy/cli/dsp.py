"""`cubeproxy dsp`: planning DSPs for calls, and running a farm of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cubeproxy.cli.common import fail, read_config
from cubeproxy.cli.run import MAP_HELP, NVRAM_HELP, LogFormat, RtcpPolicy
from cubeproxy.media.dsp.capacity import STREAMS, Load, best, choices, find_module
from cubeproxy.media.dsp.tables import MODULES
from cubeproxy.protocols.errors import ConfigError, CubeError
from cubeproxy.protocols.values import Severity
from cubeproxy.server.dsp_farm import PORTS, run_farm

app = typer.Typer(name="dsp", help="DSP farms: planning, and running one.", no_args_is_help=True)


@app.command()
def plan(
    module: Annotated[
        list[str] | None, typer.Option(help="A module that is there, PVDM3-256; may be repeated.")
    ] = None,
    calls: Annotated[int, typer.Option(min=0, help="Calls at the same time; 0 asks what a module carries.")] = 0,
    codec: Annotated[str, typer.Option(help="The codec of the calls, by its IOS name.")] = "g711ulaw",
    other: Annotated[str, typer.Option("--to", help="The codec of their other side.")] = "g711ulaw",
    clear: Annotated[bool, typer.Option("--clear", help="Without SRTP on either side.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON instead of a table.")] = False,
) -> None:
    """How many sessions a module carries, or which modules the calls take.

    cubeproxy dsp plan --module PVDM3-256 --codec g729r8; cubeproxy dsp plan --calls 100 --codec g711ulaw
    """
    load = Load(codec.lower(), other.lower(), not clear)
    try:
        answer = _answer(load, module or [], calls)
    except ConfigError as error:
        fail(error, 2)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    else:
        _print(answer)
    if not answer["enough"]:
        raise typer.Exit(1)


def _answer(load: Load, names: list[str], calls: int) -> dict[str, Any]:
    there = [find_module(name) for name in names]
    asked: dict[str, Any] = {"codec": load.codec, "to": load.other, "secure": load.secure, "calls": calls or None}
    asked["complexity"] = load.classes[0].name.lower()
    rows: list[dict[str, Any]] = []
    if there or not calls:
        for one in there or MODULES.values():
            price = load.credits(one.family)
            rows.append(
                {"module": one.name, "credits": one.credits, "a_session": price, "sessions": load.sessions(one)}
            )
        total = sum(row["sessions"] for row in rows) if there else None
        return {**asked, "modules": rows, "sessions": total, "enough": total is None or total >= calls}
    found = choices(calls, load)
    chosen = best(found)
    rows = [
        {
            "module": one.module.name,
            "count": one.count,
            "sessions": one.sessions,
            "spare": one.sessions - calls,
            "maximum_sessions": calls,
            "streams": STREAMS * calls,
            "best": one is chosen,
        }
        for one in found
    ]
    return {**asked, "choices": rows, "enough": bool(rows)}


def _print(answer: dict[str, Any]) -> None:
    kind = "secure" if answer["secure"] else "clear"
    title = f"{answer['codec']} to {answer['to']}, {kind}, complexity {answer['complexity']}"
    if answer["calls"]:
        title += f", {answer['calls']} calls"
    rows = answer.get("choices") or answer["modules"]
    table = Table(title=title, title_justify="left")
    for column in (name for name in rows[0] if name != "best"):
        table.add_column(column.replace("_", " "), justify="left" if column == "module" else "right")
    for row in rows:
        style = "bold" if row.get("best") else None
        table.add_row(*(str(value) for name, value in row.items() if name != "best"), style=style)
    console = Console()
    console.print(table)
    for row in rows:
        if row.get("best"):
            console.print(f"fewest modules: {row['count']} x {row['module']}", highlight=False)
    if answer.get("sessions") is not None:
        short = "" if answer["enough"] else f": {answer['calls'] - answer['sessions']} calls too few"
        console.print(f"{answer['sessions']} sessions together{short}", highlight=False)


@app.command()
def farm(
    config: Annotated[Path, typer.Argument(help="Running configuration of the router, `-` for standard input.")],
    nvram: Annotated[Path | None, typer.Option(envvar="CUBEPROXY_NVRAM", help=NVRAM_HELP)] = None,
    maps: Annotated[list[str] | None, typer.Option("--map", metavar="OLD=NEW", help=MAP_HELP)] = None,
    module: Annotated[str, typer.Option(help="The module that limits the sessions, PVDM3-64; none: software.")] = "",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Media worker processes of each profile.")] = 1,
    rtcp: Annotated[
        RtcpPolicy,
        typer.Option(envvar="CUBEPROXY_RTCP", help="RTCP: drop it like the router, or terminate it on each stream."),
    ] = RtcpPolicy.DROP,
    ports: Annotated[tuple[int, int], typer.Option(help="First and last port of the farm's media.")] = PORTS,
    drain: Annotated[float, typer.Option(min=0, help="Seconds that sessions may go on after SIGTERM.")] = 60.0,
    log_format: Annotated[LogFormat, typer.Option(help="Operator events as text or JSON lines.")] = LogFormat.TEXT,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Debug events too.")] = False,
) -> None:
    """Run the DSP farm of a configuration until SIGTERM: it registers with the call managers of its `sccp ccm group`.

    Beside a proxy on the same box: cubeproxy dsp farm sample-a.ios --map @lab.map
    On a host of its own (a profile without `no tls`): cubeproxy dsp farm farm.ios --nvram nvram
    """
    model = read_config(config, maps or [])
    try:
        run_farm(
            model,
            find_module(module) if module else None,
            workers=workers,
            ports=ports,
            drain=drain,
            nvram=nvram,
            reports=rtcp.reports,
            json_lines=log_format is LogFormat.JSON,
            level=Severity.DEBUG if verbose else Severity.INFO,
        )
    except CubeError as error:
        fail(error)
    except OSError as error:
        fail(f"{error.strerror or error}")
