"""The trust list of a configuration: which records, signed by whom, and that phones can follow it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cubeproxy.config.model import Config
from cubeproxy.config.parser import parse_config
from cubeproxy.phoneproxy.ctl import Plan, build_ctl, plan_ctl
from cubeproxy.pki.store import Store
from cubeproxy.protocols.errors import TrustError
from cubeproxy.protocols.trustlist import Digest, Role, Rule, TrustList, TrustListError, read_list, validate_list
from tests.protocols.trustlist.makers import certificate, ec_key, rsa_key

NOW = 1_795_500_000
ROUTER = """
crypto pki trustpoint CUBE
 enrollment selfsigned
crypto pki trustpoint CUBE2
 enrollment selfsigned
crypto pki trustpoint CAPF_PUB
 enrollment terminal
crypto pki trustpoint CAPF_SUB
 enrollment terminal
crypto pki trustpoint CCM1
 enrollment terminal
voice-ctl-file LSCTL
 record-entry selfsigned trustpoint CUBE
 record-entry capf trustpoint CAPF_PUB
 record-entry capf trustpoint CAPF_SUB
 record-entry cucm-tftp trustpoint CCM1
 complete
voice-phone-proxy LSPP
 tftp-server address ipv4 198.51.100.11 local-addr ipv4 198.51.100.1 acc-addr ipv4 192.0.2.1
 ctl-file LSCTL
 access-secure
 capf-address ipv4 198.51.100.11 acc-addr ipv4 192.0.2.7
 complete
"""


class Router:
    """A configuration and an nvram folder that go together."""

    def __init__(self, folder: Path, text: str = ROUTER) -> None:
        self.folder = folder
        self.config: Config = parse_config(text)
        for name in ("CUBE", "CUBE2"):
            self.identity(name)
        for name in ("CAPF_PUB", "CAPF_SUB", "CCM1"):
            self.authority(name)

    def identity(self, name: str, common_name: str = "") -> None:
        key = rsa_key(common_name or name, 2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.write(name, "cert.pem", certificate(common_name or name, bits=2048).public_bytes(Encoding.PEM))
        self.write(name, "key.pem", pem)

    def authority(self, name: str) -> None:
        self.write(name, "ca.pem", certificate(name).public_bytes(Encoding.PEM))

    def write(self, name: str, file: str, content: bytes) -> None:
        path = self.folder / name / file
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content)
        path.chmod(0o600)

    def plan(self, spare: x509.Certificate | None = None) -> Plan:
        store = Store(self.folder, self.config.trustpoints)
        return plan_ctl(self.config, self.config.phone_proxies["LSPP"], store, spare)


@pytest.fixture
def router(tmp_path: Path) -> Router:
    return Router(tmp_path)


def shown(ctl: TrustList) -> list[tuple[str, str, str | None]]:
    """Role, who, and where, a record."""
    return [
        (Role(record.role).name, (record.subject or "").partition(";")[0].removeprefix("CN="), record.address)
        for record in ctl.records
    ]


def test_records_of_a_secure_proxy(router: Router) -> None:
    """SAST and node for the proxy, one CAPF for each node of the cluster, at the access address."""
    plan = router.plan()
    ctl = validate_list(build_ctl(plan, NOW).ctl)
    assert shown(ctl) == [
        ("SAST", "CUBE", "192.0.2.1"),
        ("CCM_TFTP", "CUBE", "192.0.2.1"),
        ("CAPF", "CAPF_PUB", "192.0.2.7"),
        ("CAPF", "CAPF_SUB", "192.0.2.7"),
        ("CCM_TFTP", "CCM1", "192.0.2.1"),
    ]
    assert ctl.header.signer == "CN=CUBE;OU=Voice;O=Lab;C=US"
    assert plan.events == ()


def test_without_access_secure_the_node_is_a_stub(tmp_path: Path) -> None:
    """Phones then register without security, and still check the files that we sign."""
    router = Router(tmp_path, ROUTER.replace(" access-secure\n", ""))
    ctl = validate_list(build_ctl(router.plan(), NOW).ctl)
    assert shown(ctl)[:3] == [
        ("SAST", "CUBE", "192.0.2.1"),
        ("CCM_TFTP", "", "192.0.2.1"),
        ("TFTP", "CUBE", "192.0.2.1"),
    ]
    assert [record.stub for record in ctl.with_role(Role.CCM_TFTP)] == [True]


def test_capf_behind_a_service_map(tmp_path: Path) -> None:
    mapped = "service-map server-addr ipv4 198.51.100.11 port 3804 acc-addr ipv4 192.0.2.8 port 3804"
    router = Router(tmp_path, ROUTER.replace("capf-address ipv4 198.51.100.11 acc-addr ipv4 192.0.2.7", mapped))
    ctl = read_list(build_ctl(router.plan(), NOW).ctl)
    assert {record.address for record in ctl.with_role(Role.CAPF)} == {"192.0.2.8"}


def test_a_missing_certificate_is_named_and_the_others_are_listed(router: Router) -> None:
    (router.folder / "CAPF_SUB" / "ca.pem").unlink()
    plan = router.plan()
    (event,) = plan.events
    assert (event.name, event.fields["trustpoint"]) == ("ctl.record-missing", "CAPF_SUB")
    assert "CAPF_SUB" in event.fix
    assert [who for role, who, _ in shown(read_list(build_ctl(plan, NOW).ctl)) if role == "CAPF"] == ["CAPF_PUB"]


def test_complete_is_the_gate(tmp_path: Path) -> None:
    router = Router(tmp_path, ROUTER.replace("CCM1\n complete", "CCM1"))
    with pytest.raises(TrustError, match="no complete CTL file LSCTL") as caught:
        router.plan()
    assert caught.value.fix == "enter `complete` under `voice-ctl-file LSCTL`"
    router.config.phone_proxies["LSPP"].ctl_file = "OTHER"
    with pytest.raises(TrustError, match="OTHER"):
        router.plan()


def test_somebody_must_sign(router: Router) -> None:
    (router.folder / "CUBE" / "key.pem").unlink()
    with pytest.raises(TrustError, match="not its key"):
        router.plan()
    router.config.ctl_files["LSCTL"].record_entries.pop(0)
    with pytest.raises(TrustError, match="nobody who could sign"):
        router.plan()


def test_an_elliptic_curve_cannot_sign(router: Router) -> None:
    pem = ec_key("CUBE").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    router.write("CUBE", "cert.pem", certificate("CUBE", curve=True).public_bytes(Encoding.PEM))
    router.write("CUBE", "key.pem", pem)
    with pytest.raises(TrustError, match="RSA keys of 1024, 2048 or 4096"):
        router.plan()


def test_a_second_sast_comes_from_the_configuration_or_beside_it(router: Router) -> None:
    spare = certificate("SPARE")
    sasts = [record.subject for record in router.plan(spare).records if record.role == Role.SAST]
    assert [subject and subject.partition(";")[0] for subject in sasts] == ["CN=CUBE", "CN=SPARE"]
    configured = Router(router.folder, signed_by("CUBE", "CUBE2")).plan(spare)
    assert roles_of("CUBE2", configured) == ["SAST", "CCM_TFTP"]
    assert roles_of("SPARE", configured) == []


def signed_by(*trustpoints: str) -> str:
    entries = "".join(f" record-entry selfsigned trustpoint {name}\n" for name in trustpoints)
    return ROUTER.replace(" record-entry selfsigned trustpoint CUBE\n", entries)


def roles_of(who: str, plan: Plan) -> list[str]:
    return [Role(record.role).name for record in plan.records if (record.subject or "").startswith(f"CN={who};")]


def test_a_third_signer_is_one_too_many(tmp_path: Path) -> None:
    router = Router(tmp_path, signed_by("CUBE", "CUBE2", "CCM1"))
    router.identity("CCM1")
    plan = router.plan()
    (event,) = plan.events
    assert (event.name, event.fields["trustpoint"]) == ("ctl.record-surplus", "CCM1")
    assert len(list(read_list(build_ctl(plan, NOW).ctl).with_role(Role.SAST))) == 2


def test_a_restart_serves_the_same_octets(router: Router) -> None:
    first = build_ctl(router.plan(), NOW)
    again = build_ctl(router.plan(), NOW + 86400, first.ctl)
    assert (first.fresh, again.fresh) == (True, False)
    assert (again.ctl, again.itl, again.timestamp) == (first.ctl, first.itl, NOW)


def test_the_itl_is_ours_and_follows_from_the_ctl(router: Router) -> None:
    files = build_ctl(router.plan(), NOW)
    itl = validate_list(files.itl, (validate_list(files.ctl),))
    assert itl.is_itl
    assert itl.records == read_list(files.ctl).records


def test_new_records_are_a_new_list_and_never_an_older_one(router: Router) -> None:
    first = build_ctl(router.plan(), NOW)
    router.config.ctl_files["LSCTL"].record_entries.pop()
    second = build_ctl(router.plan(), NOW - 3600, first.ctl)  # the clock went back
    assert (second.fresh, second.timestamp, second.events) == (True, NOW + 1, ())
    assert validate_list(second.ctl, (read_list(first.ctl),), refuse_older=True)
    assert build_ctl(router.plan(), NOW + 60, second.ctl, Digest.SHA512).timestamp == NOW + 60


def test_the_spare_can_take_over(router: Router) -> None:
    """The old list names both; the new one is signed by the second, and phones follow."""
    first = build_ctl(router.plan(certificate("CUBE2", bits=2048)), NOW)
    router.config.ctl_files["LSCTL"].record_entries[0].trustpoint = "CUBE2"
    second = build_ctl(router.plan(), NOW + 1, first.ctl)
    assert second.events == ()
    assert validate_list(second.ctl, (read_list(first.ctl),)).header.signer.startswith("CN=CUBE2;")


def test_a_signer_that_phones_do_not_know_is_an_event(router: Router) -> None:
    first = build_ctl(router.plan(), NOW)
    router.identity("CUBE", "ANOTHER")
    second = build_ctl(router.plan(), NOW + 1, first.ctl)
    assert [event.name for event in second.events] == ["ctl.signer-changed"]
    with pytest.raises(TrustListError) as caught:
        validate_list(second.ctl, (read_list(first.ctl),))
    assert caught.value.rule is Rule.SIGNER_UNKNOWN


def test_a_stored_list_that_was_damaged_is_replaced_by_a_newer_one(router: Router) -> None:
    first = build_ctl(router.plan(), NOW).ctl
    damaged = first[:-1] + bytes((first[-1] ^ 1,))
    second = build_ctl(router.plan(), NOW - 9, damaged)
    assert [event.name for event in second.events] == ["ctl.previous-broken"]
    assert (second.fresh, second.timestamp) == (True, NOW + 1)
    third = build_ctl(router.plan(), NOW, b"no list")
    assert (third.timestamp, [event.name for event in third.events]) == (NOW, ["ctl.previous-broken"])
