"""How a phone gets a file: newer ones ask for each name by HTTP first, and by TFTP when that has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cubelab.provisioning import http, tftp
from cubelab.provisioning.models import Model
from cubelab.provisioning.tftp import FetchFailed, NoFile, TftpClient


@dataclass(slots=True, frozen=True)
class File:
    name: str
    content: bytes
    way: str  # "HTTP 6970" or "TFTP"


def untouched(_name: str, content: bytes) -> bytes:
    """A way on which nothing happens to a file."""
    return content


class Downloader:
    """`host` is the phone's own address, `server` where its files are. `on_the_way` may damage what passes."""

    def __init__(
        self,
        model: Model,
        host: str,
        server: str,
        *,
        tftp_port: int = tftp.PORT,
        http_port: int = http.PORT,
        on_the_way: Callable[[str, bytes], bytes] = untouched,
    ) -> None:
        self.model = model
        self.host = host
        self.server = server
        self.asked: list[tuple[str, str]] = []  # way and name, in order
        self._tftp_port = tftp_port
        self._http_port = http_port
        self._on_the_way = on_the_way
        self._tftp = TftpClient(host, model.terms)

    async def fetch(self, name: str) -> File:
        """NoFile when the server has none, FetchFailed when it could not be asked."""
        if self.model.http_first:
            way = f"HTTP {self._http_port}"
            self.asked.append((way, name))
            try:
                content = await http.fetch_http(name, (self.server, self._http_port), self.host)
            except (NoFile, FetchFailed):
                content = None  # then by TFTP
            if content is not None:
                return File(name, self._on_the_way(name, content), way)
        self.asked.append(("TFTP", name))
        content = await self._tftp.fetch(name, (self.server, self._tftp_port))
        return File(name, self._on_the_way(name, content), "TFTP")

    def close(self) -> None:
        self._tftp.close()
