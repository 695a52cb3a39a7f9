"""The closing table, and `report.json` for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cubelab.demo.claims import ESSENTIAL, PARTS, Claim, Status, verdict
from cubelab.demo.observations import Observations
from cubelab.demo.options import DemoOptions

MARKS = {
    Status.VERIFIED: "[green]verified[/]",
    Status.FAILED: "[bold red]failed[/]",
    Status.UNAVAILABLE: "[yellow]unavailable[/]",
}


def table(claims: Sequence[Claim]) -> Table:
    """By part: a headline, then its claims."""
    grid = Table(title="What this run has shown", show_lines=True, title_justify="left")
    grid.add_column("Claim", ratio=3)
    grid.add_column("Status", no_wrap=True)
    grid.add_column("Evidence", ratio=6, overflow="fold")
    by_id = {claim.id: claim for claim in claims}
    for part, titles in PARTS.items():
        grid.add_row(f"[bold]{part}[/]", "", "")
        for claim in (by_id[claim_id] for claim_id in titles):
            grid.add_row(claim.title, MARKS[claim.status], escape(claim.evidence))
    return grid


def print_report(console: Console, seen: Observations, claims: Sequence[Claim], options: DemoOptions) -> None:
    if seen.boot:
        console.print("[bold]what phone 1 trusted while it booted, and why[/]")
        for line in seen.boot.lines:
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    if seen.show:
        console.print("[bold]show call active voice brief[/]")
        console.print(seen.show, markup=False, highlight=False, soft_wrap=True)
    console.print(table(claims))
    failed = [claim for claim in claims if claim.status is Status.FAILED]
    if verdict(claims) == 0:
        console.print(f"Every claim holds. Captures, recordings and report.json are in {options.out}", highlight=False)
    else:
        console.print(
            f"[bold red]{len(failed)} of {len(claims)} claims failed.[/] Look into {options.out}", highlight=False
        )
        for claim in failed:
            if not claim.evidence.startswith("not reached"):
                console.print(f"  {claim.id}: {escape(claim.evidence)}", highlight=False, soft_wrap=True)


def write_boot(path: Path, seen: Observations) -> None:
    """The phone's own words, a line a step."""
    path.write_text("".join(f"{line}\n" for line in seen.boot.lines) if seen.boot else "", "utf-8")


def write_report(path: Path, claims: Sequence[Claim], options: DemoOptions, command: str, seconds: float) -> None:
    record = {
        "claims": [claim.as_json() for claim in claims],
        "never_unavailable": sorted(ESSENTIAL),
        "exit": verdict(claims),
        "seconds": round(seconds, 1),
        "proxy": command,
        "lab": {"access": options.access.value, "fault": options.fault.value, "tones_hz": list(options.tones)},
        "artefacts": sorted(p.name for p in options.out.iterdir() if p.suffix in (".pcap", ".wav", ".log")),
    }
    path.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
