"""`show ... | include REGEX` and its relatives, as on the router."""

from __future__ import annotations

import re
from collections.abc import Callable

LONGEST = 200  # characters of a pattern

Filter = Callable[[list[str], re.Pattern[str]], list[str]]


def include(lines: list[str], pattern: re.Pattern[str]) -> list[str]:
    return [line for line in lines if pattern.search(line)]


def exclude(lines: list[str], pattern: re.Pattern[str]) -> list[str]:
    return [line for line in lines if not pattern.search(line)]


def begin(lines: list[str], pattern: re.Pattern[str]) -> list[str]:
    """From the first line that matches."""
    start = next((number for number, line in enumerate(lines) if pattern.search(line)), len(lines))
    return lines[start:]


def section(lines: list[str], pattern: re.Pattern[str]) -> list[str]:
    """Lines that match, each with the deeper lines below it."""
    kept: list[str] = []
    depth: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip(" "))
        if depth is not None and line.strip() and indent > depth:
            kept.append(line)
            continue
        depth = indent if pattern.search(line) else None
        if depth is not None:
            kept.append(line)
    return kept


def count(lines: list[str], pattern: re.Pattern[str]) -> list[str]:
    return [f"Number of lines which match regexp = {len(include(lines, pattern))}"]


FILTERS: dict[str, Filter] = {
    "include": include,
    "exclude": exclude,
    "begin": begin,
    "section": section,
    "count": count,
}


def apply_filter(text: str, words: str) -> str:
    """`text` through what stands behind the `|`: the filter's name, abbreviated or not, and a regular expression."""
    name, _, pattern = words.strip().partition(" ")
    found = [full for full in FILTERS if name and full.startswith(name.lower())]
    pattern = pattern.strip()
    if len(found) != 1 or not pattern or len(pattern) > LONGEST:
        return f"% Invalid filter: {words.strip()[:80]} (one of {', '.join(FILTERS)}, then a regular expression)\n"
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        return f"% Invalid regular expression: {error}\n"
    lines = FILTERS[found[0]](text.splitlines(), compiled)
    return "".join(f"{line}\n" for line in lines)
