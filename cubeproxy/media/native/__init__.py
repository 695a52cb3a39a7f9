"""The native media worker: C sources, and the program that a build leaves beside them.

It speaks the same seam as `cubeproxy.media.worker`. There may be no program: no compiler when the package was
installed. Whether it runs here is for `cubeproxy.server.media_engine` to find out.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

NAME = "cubeproxy-media-worker"


def program() -> Path | None:
    """The built worker, or the one that CUBEPROXY_MEDIA_WORKER names; None when there is none."""
    path = Path(os.environ.get("CUBEPROXY_MEDIA_WORKER") or Path(__file__).with_name(NAME))
    return path if path.is_file() and os.access(path, os.X_OK) else None


def spare_crypto() -> Path | None:
    """A library with a whole libcrypto inside that comes with a dependency of ours, for systems that have none."""
    spec = importlib.util.find_spec("pylibsrtp")
    folders = spec.submodule_search_locations if spec else None
    return next((path for folder in folders or () for path in sorted(Path(folder).glob("_binding*.so"))), None)
