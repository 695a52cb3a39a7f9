"""The plot of a comparison: CPU per packet, p99 and packets per second over the number of calls."""

from __future__ import annotations

from pathlib import Path

from cubeload.results import Section

PANELS = (("CPU us a packet", 1.0), ("p99 us", 1e-3), ("packets/s", 1.0))  # column of the rows, and its scale
LIMIT = "p99 us"  # drawn logarithmically, with the line at 5 ms


def draw(section: Section, folder: Path) -> None:
    """Draws the rows of the first suite and notes the file's name in it; without matplotlib nothing happens."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an optional package
    except ImportError:
        return
    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, panels = pyplot.subplots(1, len(PANELS), figsize=(13, 4), layout="constrained")
    rows = [row for row in section.rows if row["suite"] == section.rows[0]["suite"]]
    for axes, (column, scale) in zip(panels, PANELS, strict=True):
        for name in section.series:
            ours = [row for row in rows if row["relay"] == name]
            axes.plot(
                [float(str(row["calls"])) for row in ours],
                [float(str(row[column])) * scale for row in ours],
                label=name,
                marker=".",
            )
        axes.set_xlabel("calls")
        axes.set_ylabel("p99 added, ms" if column == LIMIT else column)
        axes.grid(alpha=0.3)
        if column == LIMIT:
            axes.set_yscale("log")
            axes.axhline(5, color="grey", linestyle="--", linewidth=1)
        else:
            axes.set_ylim(bottom=0)
    panels[0].legend()
    section.plot = f"{section.name}.png"
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / section.plot, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
