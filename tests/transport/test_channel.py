"""TLS over memory BIOs: two ends in one process, no socket and no loop."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from OpenSSL import SSL

from cubeproxy.protocols.errors import ConfigError
from cubeproxy.transport import tls
from cubeproxy.transport.channel import ChannelBroken
from cubeproxy.transport.limits import Limits
from cubeproxy.transport.refusals import HandshakeRefused
from cubeproxy.transport.tls import TlsClient, TlsServer

from .pki import CA, CUBE, DAY, NOW, PHONE, SERVER, Judge, Pair, issue, rsa_key
from .recorder import Clock

PEER = ("192.0.2.9", 5061)


def server(judge: Judge | None = None, pair: Pair = CUBE, **options: object) -> TlsServer:
    return TlsServer(pair.chain, pair.key, judge or Judge(), **options)  # type: ignore[arg-type]


def client(pair: Pair = PHONE, judge: Judge | None = None, **options: object) -> TlsClient:
    return TlsClient(pair.chain, pair.key, judge or Judge(), **options)  # type: ignore[arg-type]


class Wire:
    """A client's and a server's channel, joined."""

    def __init__(self, client: TlsClient, server: TlsServer, limits: Limits | None = None) -> None:
        self.clock = Clock()
        limits = limits or Limits()
        self.client = client.connect(PEER, limits, self.clock)
        self.server = server.channel(limits, "192.0.2.1:40000", self.clock)
        self.got_client = self.got_server = b""

    def shake(self, piece: int = 1 << 20) -> None:
        """Both handshakes to the end, the octets cut into pieces."""
        to_server = self.client.start()
        for _ in range(8):
            for part in cut(to_server, piece):
                self.got_server += self.server.receive(part)
            to_client = self.server.outgoing()
            for part in cut(to_client, piece):
                self.got_client += self.client.receive(part)
            to_server = self.client.outgoing()
            if not to_server and not to_client:
                return

    def up(self, data: bytes) -> bytes:
        return self.server.receive(self.client.send(data))


def cut(data: bytes, piece: int) -> Iterator[bytes]:
    return (data[at : at + piece] for at in range(0, len(data), piece))


def refusal(wire: Wire) -> HandshakeRefused:
    with pytest.raises(HandshakeRefused) as caught:
        wire.shake()
    return caught.value


def test_mutual_tls_gives_both_identities_and_carries_data() -> None:
    wire = Wire(client(), server())
    wire.shake()
    assert wire.server.established
    assert wire.client.established
    assert wire.server.identity is not None
    assert wire.server.identity.name == "SEP001122334455"
    assert wire.client.identity is not None
    assert wire.client.identity.name == "cube.example.com"
    assert wire.server.version() == "TLSv1.3"
    assert wire.up(b"REGISTER") == b"REGISTER"
    assert wire.client.receive(wire.server.send(b"x" * 50_000)) == b"x" * 50_000


@pytest.mark.parametrize("piece", [1, 7, 1400])
def test_octets_may_be_cut_anywhere(piece: int) -> None:
    wire = Wire(client(), server())
    wire.shake(piece)
    data = wire.client.send(b"one") + wire.client.send(b"two")
    assert b"".join(wire.server.receive(part) for part in cut(data, piece)) == b"onetwo"


def test_the_judge_sees_the_chain_leaf_first() -> None:
    middle = issue("Sub CA", CA, key=rsa_key(5), is_ca=True)
    leaf = issue("SEP001122334455", middle)
    leaf.issuers = [middle.certificate]
    judge = Judge()
    wire = Wire(client(leaf), server(judge))
    wire.shake()
    assert judge.calls == [["CN=SEP001122334455", "CN=Sub CA"]]


def resumed(judge: Judge, phone: TlsClient, cube: TlsServer) -> Wire:
    first = Wire(phone, cube)
    first.shake()
    first.up(b"x")
    phone.keep_session(PEER, first.client)
    return Wire(phone, cube)


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_a_resumed_session_is_judged_again(version: int) -> None:
    middle = issue("Sub CA", CA, key=rsa_key(5), is_ca=True)
    leaf = issue("SEP001122334455", middle)
    leaf.issuers = [middle.certificate]
    judge = Judge()
    phone, cube = client(leaf), server(judge)
    phone._context.set_max_proto_version(version)
    wire = resumed(judge, phone, cube)
    wire.shake()
    assert wire.server.resumed
    assert wire.client.resumed
    assert wire.server.identity is not None
    assert wire.server.identity.name == "SEP001122334455"
    # the session holds the leaf alone: what came beside it was remembered
    assert judge.calls == [["CN=SEP001122334455", "CN=Sub CA"]] * 2
    assert wire.up(b"REGISTER") == b"REGISTER"


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_a_resumed_session_of_a_certificate_revoked_in_between_is_refused(version: int) -> None:
    judge = Judge()
    phone, cube = client(), server(judge)
    phone._context.set_max_proto_version(version)
    wire = resumed(judge, phone, cube)
    judge.revoked.add("CN=SEP001122334455")
    event = refusal(wire).event
    assert event.cause == "certificate"
    assert event.fields["reason"] == "the certificate is revoked"
    assert not wire.server.established
    assert wire.server.resumed


def test_a_reload_serves_the_new_certificate_and_keeps_open_channels() -> None:
    cube = server()
    old = Wire(client(), cube)
    old.shake()
    successor = issue("new.example.com", CA, key=rsa_key(4))
    cube.reload(successor.chain, successor.key)
    new = Wire(client(), cube)
    new.shake()
    assert new.client.identity is not None
    assert new.client.identity.name == "new.example.com"
    assert old.up(b"still here") == b"still here"


def test_a_reload_with_a_key_that_does_not_fit_changes_nothing() -> None:
    cube = server()
    with pytest.raises(ConfigError, match=r"does not belong to certificate CN=cube\.example\.com"):
        cube.reload(CUBE.chain, PHONE.key)
    wire = Wire(client(), cube)
    wire.shake()
    assert wire.server.established


def test_no_certificate_is_refused() -> None:
    event = refusal(Wire(TlsClient([], None, Judge()), server())).event
    assert (event.name, event.cause, event.peer) == ("tls.refused", "no-certificate", "192.0.2.1:40000")
    assert "LSC" in event.fix


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (issue("SEP001122334455", issue("Evil CA", is_ca=True, key=rsa_key(3))), "no trustpoint vouches"),
        (issue("SEP001122334455"), "no trustpoint vouches"),
        (issue("SEP001122334455", CA, ends=NOW - DAY), "has expired"),
    ],
)
def test_what_the_judge_refuses_ends_the_handshake(pair: Pair, reason: str) -> None:
    result = refusal(Wire(client(pair), server()))
    event = result.event
    assert event.cause == "certificate"
    assert event.fields["subject"] == "CN=SEP001122334455"
    assert event.fields["issuer"] == pair.certificate.issuer.rfc4514_string()
    assert event.fields["trustpoint"] == "CAPF"
    assert reason in str(event.fields["reason"])
    assert event.fix
    assert result.theirs


def test_a_judge_that_crashes_trusts_nobody() -> None:
    def crash(chain: object) -> object:
        raise RuntimeError("secret detail")

    event = refusal(Wire(client(), TlsServer(CUBE.chain, CUBE.key, crash))).event  # type: ignore[arg-type]
    assert event.cause == "certificate"
    assert "RuntimeError" in event.text
    assert "secret detail" not in event.text


def test_a_huge_certificate_is_refused_before_it_is_parsed() -> None:
    judge = Judge()
    fat = issue("SEP001122334455", CA, padding=60_000)
    event = refusal(Wire(client(fat), server(judge), Limits(handshake_octets=30_000))).event
    assert event.cause == "oversized"
    assert judge.calls == []


class RawClient:
    """A client of plain pyOpenSSL, free to do what ours does not."""

    def __init__(self, server: TlsServer, version: int, limits: Limits) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(version)
        context.use_certificate(PHONE.certificate)
        context.use_privatekey(PHONE.key)
        self.connection = SSL.Connection(context)
        self.connection.set_connect_state()
        self.server = server.channel(limits, "192.0.2.1:40000", Clock())
        for _ in range(4):
            self.step()

    def step(self) -> None:
        """Our handshake as far as it goes, then the octets both ways."""
        with contextlib.suppress(SSL.WantReadError):
            self.connection.do_handshake()
        with contextlib.suppress(SSL.WantReadError):
            self.server.receive(self.connection.bio_read(65_536))
        if data := self.server.outgoing():
            self.connection.bio_write(data)


def test_renegotiation_is_refused_and_draws_on_a_bucket() -> None:
    raw = RawClient(server(), SSL.TLS1_2_VERSION, Limits(post_handshake_burst=40, post_handshake_per_second=1))
    assert raw.server.established
    assert not raw.server.flooded()
    assert raw.connection.renegotiate()
    with contextlib.suppress(SSL.WantReadError):
        raw.connection.do_handshake()
    hello = raw.connection.bio_read(65_536)
    assert raw.server.receive(hello) == b""
    assert raw.server.stirred
    alert = raw.server.outgoing()
    assert alert[0] == 21  # an alert, not a ServerHello (22)
    raw.connection.bio_write(alert)
    with pytest.raises(SSL.Error, match="no renegotiation"):
        raw.connection.do_handshake()
    spent = raw.server._post
    assert spent is not None
    assert spent.level < spent.burst


def test_post_handshake_messages_beyond_the_bucket_are_a_flood() -> None:
    wire = Wire(client(), server(), Limits(post_handshake_burst=5, post_handshake_per_second=1))
    wire.shake()
    for _ in range(5):
        wire.server.notice(SSL.SSL_CB_ACCEPT_EXIT)
    assert not wire.server.flooded()
    wire.server.notice(SSL.SSL_CB_ACCEPT_EXIT)
    assert wire.server.flooded()


def test_a_broken_record_ends_the_channel() -> None:
    wire = Wire(client(), server())
    wire.shake()
    data = bytearray(wire.client.send(b"REGISTER"))
    data[-1] ^= 1
    with pytest.raises(ChannelBroken, match=r"bad record mac|decryption failed"):
        wire.server.receive(bytes(data))


def test_close_notify_is_told_from_data() -> None:
    wire = Wire(client(), server())
    wire.shake()
    data = wire.client.send(b"BYE") + wire.client.close()
    assert wire.server.receive(data) == b"BYE"
    assert wire.server.peer_closed


def test_the_key_log_has_nss_lines_for_both_ends() -> None:
    file = io.BytesIO()
    wire = Wire(client(), server(keylog=file))
    wire.shake()
    labels = {line.split()[0] for line in file.getvalue().splitlines()}
    assert {b"CLIENT_TRAFFIC_SECRET_0", b"SERVER_TRAFFIC_SECRET_0"} <= labels


def test_the_key_log_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    with tls.open_keylog(path) as file:
        file.write(b"x")
    assert path.stat().st_mode & 0o777 == 0o600


def test_tls_1_1_is_refused_by_default_and_served_by_the_legacy_profile() -> None:
    old = client(profile="legacy")
    old._context.set_max_proto_version(SSL.TLS1_1_VERSION)
    event = refusal(Wire(old, server())).event
    assert event.cause == "version"
    assert "legacy" in event.fix
    wire = Wire(old, server(profile="legacy"))
    wire.shake()
    assert wire.server.version() == "TLSv1.1"


def test_the_legacy_profile_says_when_openssl_cannot_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_agree", lambda *_: False)
    with pytest.raises(ConfigError, match=r"OpenSSL .* cannot speak TLS 1\.0"):
        server(profile="legacy")


def test_a_short_key_is_refused_by_the_profile_with_its_own_reason() -> None:
    weak = issue("SEP001122334455", CA, key=rsa_key(9, bits=1024))
    event = refusal(Wire(client(weak, profile="legacy"), server())).event
    assert event.cause == "certificate"
    assert "too short" in str(event.fields["reason"])
    assert event.fields["subject"] == "CN=SEP001122334455"
    wire = Wire(client(weak, profile="legacy"), server(profile="legacy"))
    wire.shake()
    assert wire.server.established


def test_a_server_certificate_may_not_be_used_by_a_client() -> None:
    event = refusal(Wire(client(issue("SEP001122334455", CA, usage=(SERVER,))), server())).event
    assert event.cause == "certificate"
    assert "purpose" in str(event.fields["reason"])
