"""Curves as PNG files, where matplotlib is installed (`pip install cubeproxy[bench]`)."""

from __future__ import annotations

from pathlib import Path

from cubeload.results import Section


def draw(section: Section, folder: Path) -> None:
    """Draws the section's series and notes the file's name in it; without matplotlib nothing happens."""
    if not section.series:
        return
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an optional package
    except ImportError:
        return
    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
    for name, points in section.series.items():
        axes.plot([x for x, _ in points], [y for _, y in points], label=name, marker="." if len(points) < 40 else "")
    axes.set_xlabel(section.axes[0])
    axes.set_ylabel(section.axes[1])
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    section.plot = f"{section.name}.png"
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / section.plot, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
