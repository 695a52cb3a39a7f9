"""The one thing that pyproject.toml cannot say: the native media worker, a program in C that a build may do without.

It is built as if it were an optional extension, which gives what that gives: a compiler that is missing or fails is a
warning, an editable install gets it beside its sources, and a wheel that holds it is marked for its platform.
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

FOLDER = Path("cubeproxy", "media", "native")
PROGRAM = "cubeproxy-media-worker"
OPTIONS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra"]


class BuildWorker(build_ext):
    """Links a program where an extension would be a library."""

    def get_ext_filename(self, fullname: str) -> str:
        return os.path.join(*fullname.split(".")[:-1], PROGRAM)

    def build_extension(self, ext: Extension) -> None:
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
        return "py3", "none", super().get_tag()[2]


setup(
    ext_modules=[
        Extension(
            "cubeproxy.media.native.worker",
            sources=sorted(str(path) for path in FOLDER.glob("*.c")),
            depends=sorted(str(path) for path in FOLDER.glob("*.h")),
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildWorker, "bdist_wheel": PlatformWheel},
)
