"""The plot of a comparison: CPU per packet, p99 and packets per second over the number of calls."""

from __future__ import annotations

from pathlib import Path

from cubeload.results import Section

PANELS = (("", "CPU us per packet", False), (", p99 ms", "p99 added, ms", True), (", packets/s", "packets/s", False))


def draw(section: Section, folder: Path) -> None:
    """Draws the section's series and notes the file's name in it; without matplotlib nothing happens."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an optional package
    except ImportError:
        return
    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, panels = pyplot.subplots(1, len(PANELS), figsize=(13, 4), layout="constrained")
    names = [name for name in section.series if not name.endswith(tuple(kind for kind, _, _ in PANELS if kind))]
    for axes, (kind, label, logarithmic) in zip(panels, PANELS, strict=True):
        for name in names:
            points = section.series[name + kind]
            axes.plot([x for x, _ in points], [y for _, y in points], label=name, marker=".")
        axes.set_xlabel("calls")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        if logarithmic:
            axes.set_yscale("log")
            axes.axhline(5, color="grey", linestyle="--", linewidth=1)
        else:
            axes.set_ylim(bottom=0)
    panels[0].legend()
    section.plot = f"{section.name}.png"
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / section.plot, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
