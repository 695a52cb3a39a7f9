"""A phone boots from a cluster: what it asks for, what it believes, and what it refuses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cubelab.cluster.devices import Device
from cubelab.cluster.lists import make_list
from cubelab.phone.boot import Booted
from cubelab.pki.lab import Lab
from cubeproxy.protocols.capf import AuthMode
from cubeproxy.protocols.trustlist import Role
from cubeproxy.protocols.values import Transport
from tests.lab.boot.stage import NETWORK, NODES, OTHER, PASSWORD, PHONE, SIP_PORTS, Plant

CTL, ITL, CONFIG = f"CTL{PHONE}.tlv", f"ITL{PHONE}.tlv", f"{PHONE}.cnf.xml"


# the order of the models


async def test_an_8800_asks_for_each_file_by_http(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        phone = plant.station(model="8841")
        booted = await phone.boot()
        assert phone.downloader.asked == [("HTTP 16970", name) for name in (CTL, ITL, f"{CONFIG}.sgn")]
    assert configured(booted)


async def test_a_7900_asks_by_tftp_alone(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        phone = plant.station(model="7961")
        booted = await phone.boot()
        assert phone.downloader.asked == [("TFTP", name) for name in (CTL, ITL, f"{CONFIG}.sgn")]
    assert configured(booted)


async def test_an_8800_falls_back_to_tftp_for_each_file(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        phone = plant.station(model="8841")
        phone.towards(NODES["pub"], http=16971)  # nobody is there
        booted = await phone.boot()
        ways = ("HTTP 16971", "TFTP")
        assert phone.downloader.asked == [(way, name) for name in (CTL, ITL, f"{CONFIG}.sgn") for way in ways]
    assert configured(booted)


def configured(booted: Booted) -> bool:
    found = booted.configuration
    assert found.managers == tuple((host, SIP_PORTS[1]) for host in NODES.values())
    assert (found.number, found.password) == ("1001", PASSWORD)
    return found.secure and found.transport is Transport.TLS


# a cluster that is not in mixed mode


async def test_a_non_secure_cluster_has_an_itl_and_no_ctl(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path, mixed=False) as plant:
        phone = plant.station()
        booted = await phone.boot()
        assert f"{CONFIG}.sgn" in [name for _, name in phone.downloader.asked]  # an ITL is reason enough
        assert CONFIG not in [name for _, name in phone.downloader.asked]
    assert phone.flash.held("ctl") is None
    assert phone.flash.held("itl") is not None
    assert "taken on faith" in phone.said("itl")
    assert not booted.configuration.secure
    assert booted.configuration.transport is Transport.TCP
    assert booted.identity is None


async def test_without_any_list_the_configuration_comes_unsigned(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path, mixed=False) as plant:
        for library in plant.cluster.libraries.values():
            library._lists = lambda _kind: None
        phone = plant.station()
        await phone.boot()
        assert [name for _, name in phone.downloader.asked if "cnf" in name] == [CONFIG]
        assert ("TFTP", "ITLFile.tlv") in phone.downloader.asked
    assert "unsigned, and taken since no list is held" in phone.said("config")


async def test_encrypted_registration_takes_a_list(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        for library in plant.cluster.libraries.values():
            library._lists = lambda _kind: None
        phone = plant.station()
        assert "there is no CTL and no ITL" in await phone.fails()


async def test_a_phone_that_the_cluster_does_not_know(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path, devices=(Device(OTHER, "1002", PASSWORD),)) as plant:
        phone = plant.station()
        assert await phone.fails()
        assert "the server has none" in phone.said("config")


# trust lists


async def test_the_first_ctl_is_taken_on_faith_and_the_itl_is_judged_by_it(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        phone = plant.station()
        await phone.boot()
    assert "taken on faith, since no list was held" in phone.said("ctl")
    assert "a SAST of the CTL that was held" in phone.said("itl")
    assert not any(phone.refused(step) for step in ("ctl", "itl", "config"))


async def test_a_strangers_ctl_is_refused_and_the_old_one_stays(pki: Lab, strangers: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        phone = plant.station(model="7960")  # without TVS there is nobody to ask
        await phone.boot()
        before = phone.flash.held("ctl")
    async with Plant(strangers, tmp_path) as plant:
        plant.stations.append(phone)
        phone.towards(NODES["pub"])
        await phone.boot()
    assert "signer-unknown" in phone.said("ctl")
    assert "the CTL and ITL stays in force" in phone.said("ctl")
    assert phone.flash.held("ctl") == before
    assert "signer-unknown" in phone.said("config")
    assert "the one stored before is used again" in phone.said("config")


async def test_after_delete_itl_a_strangers_list_is_taken_on_faith(pki: Lab, strangers: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        phone = plant.station()
        await phone.boot()
    phone.flash.delete_trust()
    async with Plant(strangers, tmp_path) as plant:
        plant.stations.append(phone)
        phone.towards(NODES["pub"])
        await phone.boot()
    assert not phone.refused("ctl")
    assert not phone.refused("config")


@pytest.mark.parametrize("offset", [0, 9, 40, 200, 700, 3000])
async def test_a_damaged_list_is_refused(pki: Lab, tmp_path: Path, offset: int) -> None:
    def damage(name: str, content: bytes) -> bytes:
        if not name.startswith(("CTL", "ITL")):
            return content
        return content[:offset] + bytes((content[offset] ^ 1,)) + content[offset + 1 :]

    async with Plant(pki, tmp_path) as plant:
        phone = plant.station()
        await phone.boot()
        held = phone.flash.held("ctl")
        phone.towards(NODES["pub"], on_the_way=damage)
        await phone.boot()
    assert phone.refused("ctl")
    assert phone.refused("itl")
    assert phone.flash.held("ctl") == held


async def test_an_older_list_is_taken_unless_the_knob_is_turned(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        older = make_list(plant.cluster.keys, 1_000_000, itl=False, mixed=True)
        strict, lenient = plant.station(0, refuse_older=True), plant.station(1)
        for phone in (strict, lenient):
            await phone.boot()
        plant.cluster._ctl = older
        for phone in (strict, lenient):
            await phone.boot()
    assert "older" in strict.said("ctl")
    assert strict.refused("ctl")
    assert not lenient.refused("ctl")


async def test_tvs_vouches_for_a_new_signer(pki: Lab, strangers: Lab, tmp_path: Path) -> None:
    """The cluster's certificates have changed, and TVS, which the phone knows, says that they are the cluster's."""
    async with Plant(pki, tmp_path) as plant:
        phone, old = plant.station(), plant.station(1, model="7960")
        for one in (phone, old):
            await one.boot()
        new = Plant(strangers, tmp_path).cluster
        plant.cluster._ctl, plant.cluster.itl = new._ctl, new.itl
        for service in plant.cluster.tvs_services.values():
            service.records += new.vouched()
        for one in (phone, old):
            await one.boot()
    assert "unknown here and vouched for by TVS" in phone.said("ctl")
    assert not phone.refused("itl")
    assert old.refused("ctl")  # this model knows no TVS: the list has to be deleted by hand


async def test_tvs_that_knows_the_signer_for_something_else_is_no_help(
    pki: Lab, strangers: Lab, tmp_path: Path
) -> None:
    async with Plant(pki, tmp_path) as plant:
        phone = plant.station()
        await phone.boot()
        new = Plant(strangers, tmp_path).cluster
        plant.cluster._ctl, plant.cluster.itl = new._ctl, new.itl
        for service in plant.cluster.tvs_services.values():
            service.records += [one for one in new.vouched() if one.role != Role.SAST]
        await phone.boot()
    assert "is known, and may not sign this" in phone.said("tvs")
    assert phone.refused("ctl")
    assert phone.refused("itl")


async def test_tvs_vouches_for_a_signer_and_not_for_what_was_changed_on_the_way(
    pki: Lab, strangers: Lab, tmp_path: Path
) -> None:
    async with Plant(pki, tmp_path) as plant:
        phone = plant.station()
        await phone.boot()
        held = phone.flash.held("ctl")
        new = Plant(strangers, tmp_path).cluster
        plant.cluster._ctl, plant.cluster.itl = new._ctl, new.itl
        for service in plant.cluster.tvs_services.values():
            service.records += new.vouched()
        phone.towards(NODES["pub"], on_the_way=lambda name, content: (
            content.replace(NODES["sub"].encode(), NODES["sub"][:-1].encode() + b"9") if "tlv" in name else content
        ))  # fmt: skip
        await phone.boot()
    assert "digest" in phone.said("tvs")
    assert phone.refused("ctl")
    assert phone.flash.held("ctl") == held


async def test_tvs_is_believed_only_with_the_certificate_of_the_list(pki: Lab, strangers: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        phone = plant.station()
        await phone.boot()
    async with Plant(strangers, tmp_path) as plant:
        plant.stations.append(phone)
        phone.towards(NODES["pub"])
        await phone.boot()
    assert "a certificate that no list has for TVS" in phone.said("tvs")
    assert phone.refused("ctl")


# configuration


async def test_an_unsigned_configuration_is_refused_once_a_list_is_held(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        library = plant.cluster.libraries["pub"]
        phone = plant.station()
        phone.towards(NODES["pub"], on_the_way=lambda name, content: (
            library.find(CONFIG, ("", 0)) or b"" if name.endswith(".sgn") else content
        ))  # fmt: skip
        assert "no configuration" in await phone.fails()
        assert "not signed, and a list is held" in phone.said("config")
        assert phone.flash.config is None
        assert CONFIG not in [name for _, name in phone.downloader.asked]  # it does not even ask


async def test_a_changed_configuration_is_refused_and_the_stored_one_used(pki: Lab, tmp_path: Path) -> None:
    def evil(name: str, content: bytes) -> bytes:
        return content.replace(b"<deviceSecurityMode>3", b"<deviceSecurityMode>1") if "cnf" in name else content

    async with Plant(pki, tmp_path) as plant:
        phone = plant.station()
        await phone.boot()
        phone.towards(NODES["pub"], on_the_way=evil)
        booted = await phone.boot()
    assert "digest" in phone.said("config")
    assert booted.configuration.secure


async def test_anothers_configuration_is_refused(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        library = plant.cluster.libraries["pub"]
        phone = plant.station()
        phone.towards(NODES["pub"], on_the_way=lambda name, content: (
            library.find(f"{OTHER}.cnf.xml.sgn", ("", 0)) or b"" if "cnf" in name else content
        ))  # fmt: skip
        await phone.fails()
    assert "file-name" in phone.said("config")


async def test_an_encrypted_configuration_is_said_to_be_one(pki: Lab, tmp_path: Path) -> None:
    device = Device(PHONE, "1001", PASSWORD, encrypted_config=True)
    async with Plant(pki, tmp_path, devices=(device,)) as plant:
        assert "encrypted" in await plant.station().fails()


# enrolment during a boot


async def test_factory_state_to_lsc_and_back(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        plant.plan(mode=AuthMode.STRING, string="4711")
        phone = plant.station(string="4711")
        booted = await phone.boot()
        assert booted.enrolled
        assert booted.identity is not None
        assert booted.identity[0] == "LSC"
        assert "listed for CAPF in the CTL" in phone.said("capf")
        again = await phone.boot()  # nothing is pending any more
        assert (again.configuration.capf_mode, again.enrolled) == (AuthMode.NONE, False)
        assert again.identity == booted.identity
    phone.flash.factory_reset()
    assert phone.flash.identity is not None
    assert phone.flash.identity[0] == "MIC"
    assert (phone.flash.lists(), phone.flash.config) == ([], None)


async def test_a_capf_that_is_not_in_the_list_hears_nothing(pki: Lab, tmp_path: Path) -> None:
    """Not even a session is begun: the authentication string is not for strangers."""
    async with Plant(pki, tmp_path, capf={"pub": pki.bad["self-signed"]}) as plant:
        good = make_list(Plant(pki, tmp_path).cluster.keys, 2_000_000_000, itl=False, mixed=True)
        plant.cluster._ctl = good
        plant.cluster.itl.current = make_list(Plant(pki, tmp_path).cluster.keys, 2_000_000_000, itl=True, mixed=True)
        for service in plant.cluster.tvs_services.values():
            service.records = []
        row = plant.plan(mode=AuthMode.STRING, string="4711")
        phone = plant.station(string="4711")
        booted = await phone.boot()
        assert not booted.enrolled
        assert booted.identity is not None
        assert booted.identity[0] == "MIC"
        assert "is not in the list that is held as CAPF: nothing was said" in phone.said("capf")
        assert row.failures == 0
        assert plant.cluster.capf["pub"].installed == {}


async def test_a_certificate_that_is_listed_for_something_else_is_no_capf(pki: Lab, tmp_path: Path) -> None:
    """The CallManager's own certificate: known, and not for this."""
    async with Plant(pki, tmp_path, capf={"pub": pki.cucm["pub"]}) as plant:
        plain = Plant(pki, tmp_path).cluster
        plant.cluster._ctl, plant.cluster.itl = plain._ctl, plain.itl
        for service in plant.cluster.tvs_services.values():
            service.records = plain.vouched()
        plant.plan(mode=AuthMode.NULL)
        phone = plant.station()
        await phone.boot()
        assert "is not in the list that is held as CAPF" in phone.said("capf")
        assert PHONE in plant.cluster.pending


async def test_a_capf_that_the_list_has_not_may_be_vouched_for_by_tvs(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path, capf={"pub": pki.bad["self-signed"]}) as plant:
        plain = Plant(pki, tmp_path).cluster
        plant.cluster._ctl, plant.cluster.itl = plain._ctl, plain.itl
        plant.plan(mode=AuthMode.NULL)
        phone = plant.station()
        await phone.boot()
        assert "is vouched for by TVS" in phone.said("capf")


async def test_a_7900_has_tls_1_0_for_capf_and_a_strict_capf_has_not(pki: Lab, tmp_path: Path) -> None:
    for legacy in (True, False):
        async with Plant(pki, tmp_path / str(legacy), legacy_tls=legacy) as plant:
            plant.plan(mode=AuthMode.NULL)
            phone = plant.station(model="7961")
            booted = await phone.boot()
            assert booted.enrolled is legacy
            assert ("(TLSv1)" in phone.said("capf")) is legacy
            assert phone.refused("capf") is not legacy


async def test_phones_enrol_with_the_capf_of_their_node(pki: Lab, tmp_path: Path) -> None:
    device = Device(PHONE, "1001", PASSWORD, capf_node="sub")
    async with Plant(pki, tmp_path, devices=(device,)) as plant:
        plant.plan(mode=AuthMode.NULL)
        phone = plant.station()
        await phone.boot()
    assert "issued by CN=CAPF-4e5f6071" in phone.said("identity")


async def test_phones_boot_at_once(pki: Lab, tmp_path: Path) -> None:
    devices = tuple(Device(f"SEP0011223344{n:02X}", f"2{n:03}", PASSWORD) for n in range(40))
    async with Plant(pki, tmp_path, devices=devices) as plant:
        phones = []
        for number, device in enumerate(devices):
            phone = plant.station(model="7961")
            phone.settings.device = device.name
            phone.flash = type(phone.flash)(tmp_path / device.name)
            phone.downloader.host = f"{NETWORK}.3.{number + 1}"
            phones.append(phone)
            phone.flash.mic = pki.mics[PHONE]
        booted = await asyncio.gather(*(phone.boot() for phone in phones))
    assert [one.configuration.number for one in booted] == [device.number for device in devices]
