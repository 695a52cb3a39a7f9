"""Phones outside boot through the proxy, and each of its refusals names what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cubelab.agent.trust import read_identity
from cubelab.phone.boot import BootFailed
from cubelab.phone.flash import CTL
from cubelab.phone.phone import RegistrationFailed
from cubelab.pki.lab import Lab, init_lab
from cubeproxy.protocols.capf import AuthMode
from cubeproxy.protocols.trustlist import Role
from cubeproxy.protocols.values import Transport
from tests.lab.boot.outside import NUMBERS, Outside, replacing, said, without_certificate


def forget_capf_sub(pki: Lab) -> None:
    shutil.rmtree(pki.nvram / "CAPF_SUB")


@pytest.mark.parametrize("model", ["8841", "7961"])
async def test_from_factory_state_to_an_encrypted_registration(tmp_path: Path, model: str) -> None:
    async with Outside(tmp_path) as lab:
        lab.plan(mode=AuthMode.STRING, string="4711")
        phone = lab.phone(model=model, string="4711")
        done = await phone.power_on()
        assert done.challenged
        assert phone.booted is not None
        assert phone.booted.identity is not None
        assert phone.booted.identity[0] == "LSC"
        assert phone.booted.configuration.managers == ((lab.network.access, 5061),)
        assert phone.booted.configuration.tvs is None
        assert lab.cluster.capf_services["pub"].peers == [lab.network.core]  # through the relay
        assert lab.cucm.registrar.bindings["1001"].device == NUMBERS["1001"]
        way = "HTTP 6970" if model == "8841" else "TFTP"
        assert f"CTL{NUMBERS['1001']}.tlv by {way}" in said(phone, "ctl")
        assert f"(TLSv1{'.3' if model == '8841' else ''})" in said(phone, "capf")  # the relay ends no TLS
        assert not any(not line.good for line in phone.diary.lines)


async def test_the_proxy_serves_the_same_list_after_a_restart(tmp_path: Path) -> None:
    async with Outside(tmp_path) as lab:
        phone = lab.phone()
        await phone.power_on()
        await lab.restart_proxy()
        await phone.power_off()
        again = lab.phone()
        await again.power_on()
        assert "the one that is held already" in said(again, "ctl")


async def test_the_second_signer_carries_phones_over_to_a_new_key(tmp_path: Path) -> None:
    async with Outside(tmp_path) as lab:
        await (first := lab.phone()).power_on()
        await first.power_off()
        lose_keys(lab, tmp_path)
        await lab.restart_proxy()
        await (again := lab.phone()).power_on()
        assert "signed by CN=SAST spare LSCTL, a SAST of the CTL that was held" in said(again, "ctl")


async def test_a_phone_refuses_a_proxy_that_has_lost_both_signers(tmp_path: Path) -> None:
    """The router was replaced, and nobody saved its keys: phones are stranded until their list is deleted."""
    async with Outside(tmp_path) as lab:
        await (first := lab.phone()).power_on()
        await first.power_off()
        lose_keys(lab, tmp_path)
        shutil.rmtree(lab.pki.nvram / "ctl")
        await lab.restart_proxy()
        stranded = lab.phone()
        with pytest.raises(RegistrationFailed):
            await stranded.power_on()
        assert "signer-unknown" in said(stranded, "ctl")
        assert "signer-unknown" in said(stranded, "config")
        assert "REFUSED CN=cube.lab.example is not in the list that is held as CallManager" in said(
            stranded, "register"
        )
        stranded._boot.flash.delete_trust()
        await (freed := lab.phone()).power_on()
        assert "taken on faith" in said(freed, "ctl")


def lose_keys(lab: Outside, folder: Path) -> None:
    """The proxy gets another key and certificate under the same name."""
    nodes = {name: (host,) for name, host in lab.names.items()}
    other = init_lab(folder / "other", nodes=nodes, cube=(lab.network.access,))
    for file in ("cert.pem", "key.pem"):
        shutil.copy(other.nvram / "CUBE_SS" / file, lab.pki.nvram / "CUBE_SS" / file)


# a node whose CAPF certificate nobody has imported


async def test_phones_enrolled_by_a_missing_node_fail_and_the_log_names_the_trustpoint(tmp_path: Path) -> None:
    async with Outside(tmp_path, edit=without_certificate("CAPF_SUB"), nvram=forget_capf_sub) as lab:
        missing = await lab.says("ctl.record-missing", "CAPF_SUB")
        assert "trustpoint CAPF_SUB is configured but not authenticated" in missing
        enrolled = {"1001": "CAPF-1a2b3c4d", "1002": "CAPF-4e5f6071"}  # by the publisher, and by the subscriber
        for number, capf in enrolled.items():
            phone = lab.phone(number)
            chain, key = read_identity(lab.pki.phones[NUMBERS[number]].certificate, lab.pki.phones[NUMBERS[number]].key)
            phone._boot.flash.store_lsc(chain[0], key)
            if number == "1001":
                await phone.power_on()
            else:
                with pytest.raises(RegistrationFailed):
                    await phone.power_on()
            assert f"issued by CN={capf}" in said(phone, "identity")
        refused = await lab.says("tls.refused", NUMBERS["1002"], "CAPF-4e5f6071")
        assert "CAPF_SUB" in refused
        assert "cubeproxy pki authenticate CAPF_SUB" in refused


async def test_a_phone_does_not_enrol_with_the_capf_of_a_missing_node(tmp_path: Path) -> None:
    to_sub = replacing(("capf-address ipv4 198.51.100.11", "capf-address ipv4 198.51.100.12"))
    edit = without_certificate("CAPF_SUB")
    async with Outside(tmp_path, edit=lambda text: to_sub(edit(text)), nvram=forget_capf_sub) as lab:
        lab.plan(mode=AuthMode.STRING, string="4711")
        phone = lab.phone(string="4711")
        await phone.boot()
        assert "CN=CAPF-4e5f6071 is not in the list that is held as CAPF: nothing was said" in said(phone, "capf")
        assert lab.cluster.capf["sub"].installed == {}


# access-secure off

NONSECURE = replacing(
    (" access-secure\n", ""),
    (" session target registrar\n session transport tcp tls\n", " session target registrar\n session transport tcp\n"),
    (" srtp\n", ""),
)


async def test_without_access_secure_phones_get_a_stub_and_register_in_the_clear(tmp_path: Path) -> None:
    async with Outside(tmp_path, edit=NONSECURE) as lab:
        phone = lab.phone()
        await phone.power_on()
        held = phone._boot.flash.held(CTL)
        assert held is not None
        stubs = list(held.with_role(Role.CCM_TFTP, Role.CCM))
        assert [(one.stub, one.dns_name) for one in stubs] == [(True, lab.network.access)]
        assert phone.booted is not None
        found = phone.booted.configuration
        assert (found.security, found.transport, found.managers) == (1, Transport.TCP, ((lab.network.access, 5060),))
        assert "signature by CN=cube.lab.example" in said(phone, "config")  # files are signed all the same
        assert phone.booted.identity is None


# a cluster in mixed mode


async def test_a_mixed_mode_clusters_files_are_verified_and_signed_again(tmp_path: Path) -> None:
    async with Outside(tmp_path, config="sample-b.ios", mixed=True) as lab:
        lab.plan(mode=AuthMode.MIC)
        phone = lab.phone()
        await phone.power_on()
        names = {name for host, name in lab.cluster.libraries["pub"].asked if host == lab.network.core}
        assert names == {f"{NUMBERS['1001']}.cnf.xml.sgn"}
        assert "config.upstream-unauthenticated" not in lab.log.read_text()
        assert "proof: MIC" in said(phone, "lsc")


async def test_what_a_stranger_has_signed_in_the_core_is_not_served(tmp_path: Path, strangers: Lab) -> None:
    async with Outside(tmp_path, config="sample-b.ios", mixed=True, cluster_pki=strangers) as lab:
        phone = lab.phone()
        with pytest.raises(BootFailed, match="no configuration"):
            await phone.power_on()
        assert "signer-unknown" in await lab.says("file.refused", f"{NUMBERS['1001']}.cnf.xml.sgn is not served")
        assert "the server has none" in said(phone, "config")


async def test_an_encrypted_configuration_of_the_cluster_is_refused_with_an_explanation(tmp_path: Path) -> None:
    async with Outside(tmp_path, encrypted_config=True) as lab:
        phone = lab.phone()
        with pytest.raises(BootFailed):
            await phone.power_on()
        assert "switch off TFTP Encrypted Config" in await lab.says("file.refused", "encrypt")
