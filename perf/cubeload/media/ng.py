"""rtpengine in userspace mode, driven over its ng protocol (bencode over UDP) as a SIP proxy would drive it."""

from __future__ import annotations

import base64
import contextlib
import socket
import subprocess
import time
from typing import Any

from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import Address

CONTROL: Address = ("127.0.60.9", 22222)
PATIENCE = 200  # tries, 50 ms apart: a busy machine starts it late


def bencode(value: Any) -> bytes:
    match value:
        case dict():
            return b"d" + b"".join(bencode(key) + bencode(each) for key, each in sorted(value.items())) + b"e"
        case list() | tuple():
            return b"l" + b"".join(bencode(each) for each in value) + b"e"
        case int():
            return b"i%de" % value
        case _:
            data = str(value).encode()
            return b"%d:" % len(data) + data


def bdecode(data: bytes, position: int = 0) -> tuple[Any, int]:
    kind = data[position : position + 1]
    if kind == b"i":
        end = data.index(b"e", position)
        return int(data[position + 1 : end]), end + 1
    if kind in (b"d", b"l"):
        items, position = [], position + 1
        while data[position : position + 1] != b"e":
            item, position = bdecode(data, position)
            items.append(item)
        return (dict(zip(items[::2], items[1::2], strict=True)) if kind == b"d" else items), position + 1
    colon = data.index(b":", position)
    end = colon + 1 + int(data[position:colon])
    return data[colon + 1 : end].decode(), end


class Rtpengine:
    """A running rtpengine with two interfaces, `access` and `core`."""

    def __init__(self, access: str, core: str, ports: tuple[int, int]) -> None:
        self.process = subprocess.Popen(
            [
                "rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=3",
                "--table=-1", "--num-threads=1",
                f"--interface=access/{access}", f"--interface=core/{core}", f"--listen-ng={CONTROL[0]}:{CONTROL[1]}",
                f"--port-min={ports[0]}", f"--port-max={ports[1]}", "--timeout=600", "--no-fallback",
                "--delete-delay=0",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(CONTROL)
        self._socket.settimeout(2)
        self._cookie = 0
        for _ in range(PATIENCE):
            with contextlib.suppress(OSError):
                if self.ask({"command": "ping"})["result"] == "pong":
                    return
            time.sleep(0.05)
        self.close()
        raise RuntimeError("rtpengine does not answer")

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        self._cookie += 1
        cookie = f"{self._cookie} ".encode()
        self._socket.send(cookie + bencode(command))
        while True:
            answer = self._socket.recv(65536)
            if answer.startswith(cookie):
                decoded: dict[str, Any] = bdecode(answer, len(cookie))[0]
                return decoded

    def call(self, number: int, phone: Address, core: Address, key: MasterKey) -> tuple[Address, Address, MasterKey]:
        """The relay's address towards the phone and towards the core, and the key of what the phone will hear."""
        common = {"call-id": f"call{number}", "from-tag": "a", "ICE": "remove", "replace": ["origin"]}
        crypto = f"a=crypto:1 {key.suite.value} inline:{base64.b64encode(key.master).decode()}\r\n"
        offer = {"command": "offer", "transport-protocol": "RTP/AVP", "direction": ["access", "core"]}
        answered = self.ask(common | offer | {"sdp": _sdp(phone, "RTP/SAVP", crypto)})
        towards_core = _media_address(answered["sdp"])
        answered = self.ask(common | {"command": "answer", "to-tag": "b", "sdp": _sdp(core, "RTP/AVP", "")})
        return _media_address(answered["sdp"]), towards_core, _crypto(answered["sdp"], key.suite)

    def close(self) -> None:
        self._socket.close()
        self.process.terminate()
        self.process.wait(20)


def _sdp(address: Address, profile: str, crypto: str) -> str:
    host, port = address
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} {profile} 0\r\na=rtpmap:0 PCMU/8000\r\n{crypto}a=sendrecv\r\n"
    )


def _media_address(sdp: str) -> Address:
    lines = sdp.splitlines()
    host = next(line.split()[2] for line in lines if line.startswith("c="))
    return host, next(int(line.split()[1]) for line in lines if line.startswith("m="))


def _crypto(sdp: str, suite: Suite) -> MasterKey:
    line = next(line for line in sdp.splitlines() if line.startswith("a=crypto:") and suite.value in line)
    text = line.partition("inline:")[2].split("|")[0].split()[0]
    return MasterKey(suite, base64.b64decode(text + "=" * (-len(text) % 4)))
