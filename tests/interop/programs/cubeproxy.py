"""The product as its user starts it: `cubeproxy run CONFIG --nvram DIR --map OLD=NEW`, nothing of it imported."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .process import Program, until


class Cubeproxy(Program):
    """`addresses` maps the router's addresses to the lab's; `access` is where phones connect (TLS)."""

    name = "cubeproxy"

    def __init__(
        self,
        folder: Path,
        config: str,
        nvram: Path,
        addresses: Mapping[str, str],
        access: tuple[str, int],
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(folder)
        self.config = folder / "running-config.ios"
        self.config.write_text(config)
        self.nvram, self.addresses, self.access, self.options = nvram, addresses, access, options

    def command(self) -> Sequence[str]:
        program = str(Path(sys.executable).parent / "cubeproxy")
        maps = [word for old, new in self.addresses.items() for word in ("--map", f"{old}={new}")]
        return [program, "run", str(self.config), "--nvram", str(self.nvram), *maps, *self.options]

    def ready(self) -> None:
        until("cubeproxy listens on its access side", self._listens, log=self.log)

    def _listens(self) -> bool:
        assert self.child is None or self.child.poll() is None, f"cubeproxy ended\n{self.output}"
        try:
            socket.create_connection(self.access, 2).close()
        except OSError:
            return False
        return True
