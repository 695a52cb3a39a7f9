"""What pyproject.toml cannot say: the native media engine in C, and what `make compiled` compiles.

The engine has two faces, a program and a library. Both are built as if they were optional extensions, which gives what
that gives: a compiler that is missing or fails is a warning, an editable install gets them beside their sources, and a
wheel that has them is marked for its platform.
With CUBEPROXY_COMPILE set the message path goes through mypyc too, from the same files; nothing else changes.
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

FOLDER = Path("cubeproxy", "media", "native")
FACES = {"worker": "cubeproxy-media-worker", "library": "libcubeproxy-media.so"}  # neither needs Python's headers
OURS = {"worker": ("fuzz.c",), "library": ("fuzz.c", "hook.c", "main.c")}  # sources that a face does without
COMPILED = ("cubeproxy/protocols/sip", "cubeproxy/protocols/sdp", "cubeproxy/protocols/sdes.py", "cubeproxy/border")
OPTIONS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra"]


def face_of(name: str) -> str:
    """Which face an extension is, "" for none.

    Also asked with the last part of the name alone, when an editable build puts it beside its sources.
    """
    last = name.rpartition(".")[2]
    return last if last in FACES else ""


class BuildFaces(build_ext):
    """Links a program, or a library that no interpreter imports, where an extension would be."""

    def get_ext_filename(self, fullname: str) -> str:
        face = face_of(fullname)
        if not face:
            return super().get_ext_filename(fullname)
        return os.path.join(*fullname.split(".")[:-1], FACES[face])

    def build_extension(self, ext: Extension) -> None:
        face = face_of(ext.name)
        if not face:
            super().build_extension(ext)
            return
        folder = os.path.join(self.build_temp, face)  # the same sources, compiled otherwise
        options = OPTIONS if face == "worker" else [*OPTIONS, "-fPIC", "-fvisibility=hidden", "-DCUBEPROXY_LIBRARY"]
        objects = self.compiler.compile(ext.sources, output_dir=folder, extra_postargs=options, depends=ext.depends)
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        if face == "library":
            self.compiler.link_shared_object(objects, str(target), libraries=["dl"], extra_postargs=["-Wl,-z,defs"])
            return
        # libcrypto may come out of a library that wants this one symbol of an interpreter (see crypto.c).
        exported = ["-Wl,--export-dynamic-symbol=_Py_NoneStruct"]
        self.compiler.link_executable(objects, str(target), libraries=["dl"], extra_postargs=exported)


def faces() -> list[Extension]:
    return [
        Extension(
            f"cubeproxy.media.native.{face}",
            sources=sorted(str(path) for path in FOLDER.glob("*.c") if path.name not in without),
            depends=sorted(str(path) for path in FOLDER.glob("*.h")),
            optional=True,
        )
        for face, without in OURS.items()
    ]


class PlatformWheel(bdist_wheel):
    """The engine needs a platform, but no particular Python."""

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
    ext_modules=[*compiled, *faces()],
    cmdclass={"build_ext": BuildFaces, "bdist_wheel": PlatformWheel},
)
