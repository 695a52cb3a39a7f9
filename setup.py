"""What pyproject.toml cannot say: the native media worker, a program in C, and what `make compiled` compiles.

The worker is built as if it were an optional extension, which gives what that gives: a compiler that is missing or
fails is a warning, an editable install gets it beside its sources, and a wheel that has it is marked for its platform.
With CUBEPROXY_COMPILE set the message path goes through mypyc too, from the same files; nothing else changes.
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

FOLDER = Path("cubeproxy", "media", "native")
PROGRAM = "cubeproxy-media-worker"
COMPILED = ("cubeproxy/protocols/sip", "cubeproxy/protocols/sdp", "cubeproxy/protocols/sdes.py", "cubeproxy/border")
OPTIONS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra"]


def is_worker(name: str) -> bool:
    """Also asked with the last part of the name alone, when an editable build puts it beside its sources."""
    return name.rpartition(".")[2] == "worker"


class BuildWorker(build_ext):
    """Links a program where an extension would be a library."""

    def get_ext_filename(self, fullname: str) -> str:
        if not is_worker(fullname):
            return super().get_ext_filename(fullname)
        return os.path.join(*fullname.split(".")[:-1], PROGRAM)

    def build_extension(self, ext: Extension) -> None:
        if not is_worker(ext.name):
            super().build_extension(ext)
            return
        objects = self.compiler.compile(
            ext.sources, output_dir=self.build_temp, extra_postargs=OPTIONS, depends=ext.depends
        )
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        # libcrypto may come out of a library that wants this one symbol of an interpreter (see crypto.c).
        exported = ["-Wl,--export-dynamic-symbol=_Py_NoneStruct"]
        self.compiler.link_executable(objects, str(target), libraries=["dl"], extra_postargs=exported)


class PlatformWheel(bdist_wheel):
    """The program needs a platform, but no particular Python."""

    def get_tag(self) -> tuple[str, str, str]:
        if compiled:
            return super().get_tag()
        return "py3", "none", super().get_tag()[2]


def message_path() -> list[Extension]:
    """The modules that mypyc compiles, one shared library for all of them."""
    from mypyc.build import mypycify  # noqa: PLC0415 - other builds do without mypy

    roots = [Path(name) for name in COMPILED]
    files = [path for root in roots for path in ([root] if root.suffix else sorted(root.glob("*.py")))]
    return mypycify([str(path) for path in files if path.name != "__init__.py"], opt_level="2")


compiled = message_path() if os.environ.get("CUBEPROXY_COMPILE") else []

setup(
    ext_modules=[
        *compiled,
        Extension(
            "cubeproxy.media.native.worker",
            sources=sorted(str(path) for path in FOLDER.glob("*.c")),
            depends=sorted(str(path) for path in FOLDER.glob("*.h")),
            optional=True,
        ),
    ],
    cmdclass={"build_ext": BuildWorker, "bdist_wheel": PlatformWheel},
)
