"""The tests of a module as plain callables, collected once and run as often as there are mutants.

Understood: functions and methods of `Test*` classes, `pytest.mark.parametrize` on either, and fixtures without
parameters of their own that stand in the same module or class, generators included. Left out: what asks for any other
fixture (pytest's own, a conftest's), what hypothesis drives, what is a coroutine.
"""

from __future__ import annotations

import inspect
import itertools
import unittest
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from types import ModuleType
from typing import Any

Playbook = Callable[[], Any]
Fixtures = Mapping[str, Callable[..., Any]]


def collect(module: ModuleType) -> list[Playbook]:
    """Each set of parameters is a playbook of its own."""
    space = vars(module)
    shared = _fixtures(space)
    found = [playbook for name, one in space.items() for playbook in _of_function(name, one, (), shared, None)]
    for name, kind in space.items():
        if name.startswith("Test") and inspect.isclass(kind) and not issubclass(kind, unittest.TestCase):
            fixtures = {**shared, **_fixtures(vars(kind))}
            for method, function in vars(kind).items():
                found += _of_function(method, function, _marks(kind), fixtures, kind)
    return found


def _of_function(
    name: str, function: object, marks: tuple[Any, ...], fixtures: Fixtures, kind: type | None
) -> Iterator[Playbook]:
    if not name.startswith("test") or not inspect.isfunction(function) or hasattr(function, "hypothesis"):
        return
    if inspect.iscoroutinefunction(function):
        return
    for arguments in _parameters((*_marks(function), *marks)):
        wanted = _names(function, kind) - arguments.keys()
        if _reachable(wanted, fixtures):
            yield partial(_run, function, arguments, wanted, fixtures, kind)


def _marks(thing: Any) -> tuple[Any, ...]:
    return tuple(mark for mark in getattr(thing, "pytestmark", ()) if mark.name == "parametrize")


def _names(function: Callable[..., Any], kind: type | None) -> set[str]:
    names = list(inspect.signature(function).parameters)
    return set(names[1:] if kind is not None and names[:1] == ["self"] else names)


def _parameters(marks: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """Every combination that the marks give."""
    choices = []
    for mark in marks:
        names, values = mark.args[:2]
        names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        sets = [_values(value, len(names)) for value in values]
        choices.append([dict(zip(names, one, strict=True)) for one in sets])
    for combination in itertools.product(*choices):
        yield {name: value for part in combination for name, value in part.items()}


def _values(value: Any, count: int) -> tuple[Any, ...]:
    """One set of parameters; `pytest.param` is a named tuple with `values`, `marks` and `id`."""
    if hasattr(value, "values") and hasattr(value, "marks"):
        return tuple(value.values)
    return tuple(value) if count > 1 else (value,)


def _fixtures(space: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """The functions behind the fixtures that are defined here and have no parameters of their own."""
    found = {}
    for name, thing in space.items():
        if type(thing).__name__ == "FixtureFunctionDefinition":
            function = inspect.unwrap(thing)
            if "request" not in inspect.signature(function).parameters:
                found[name] = function
    return found


def _reachable(names: set[str], fixtures: Fixtures) -> bool:
    return all(name in fixtures and _reachable(_names(fixtures[name], object), fixtures) for name in names)


def _run(
    function: Callable[..., Any], arguments: dict[str, Any], wanted: set[str], fixtures: Fixtures, kind: type | None
) -> None:
    with ExitStack() as stack:
        instance = None if kind is None else kind()
        made: dict[str, Any] = {}
        values = {name: _make(name, fixtures, made, instance, stack) for name in sorted(wanted)}
        takes_self = kind is not None and next(iter(inspect.signature(function).parameters), "") == "self"
        function(*([instance] if takes_self else []), **arguments, **values)


def _make(name: str, fixtures: Fixtures, made: dict[str, Any], instance: object, stack: ExitStack) -> Any:
    """The value of a fixture, made once a run; a generator is finished when the run ends."""
    if name not in made:
        function = fixtures[name]
        names = list(inspect.signature(function).parameters)
        own = [instance] if names[:1] == ["self"] else []
        values = {other: _make(other, fixtures, made, instance, stack) for other in names[len(own) :]}
        if inspect.isgeneratorfunction(function):
            made[name] = stack.enter_context(contextmanager(function)(*own, **values))
        else:
            made[name] = function(*own, **values)
    return made[name]
