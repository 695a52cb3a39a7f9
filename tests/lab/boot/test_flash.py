"""What a phone keeps: keys and passwords for itself alone, and nothing half written."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cubelab.cluster.keys import read_keys
from cubelab.cluster.lists import make_list
from cubelab.phone.flash import CTL, ITL, Flash
from cubelab.pki.lab import Lab
from tests.lab.boot.stage import NODES, OTHER, PHONE


@pytest.fixture
def flash(pki: Lab, tmp_path: Path) -> Flash:
    flash = Flash(tmp_path / "flash", pki.mics[PHONE])
    keys = read_keys(pki, NODES, {})
    flash.store_list(CTL, make_list(keys, 1, itl=False, mixed=True))
    flash.store_list(ITL, make_list(keys, 1, itl=True, mixed=True))
    flash.store_config(b"<device/>")
    own = flash.read(pki.phones[PHONE])
    flash.store_lsc(own.certificate, own.key)
    return flash


def test_what_is_stored_is_there_after_the_power_was_off(flash: Flash, pki: Lab) -> None:
    again = Flash(flash.folder, pki.mics[PHONE])
    assert [one.is_itl for one in again.lists()] == [False, True]
    assert again.config == b"<device/>"
    assert again.identity is not None
    assert again.identity[0] == "LSC"


def test_secrets_are_readable_by_their_owner_alone(flash: Flash) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in flash.folder.iterdir()}
    assert modes["lsc-key.pem"] == modes["config.xml"] == 0o600  # a configuration has the line's password


def test_delete_itl_takes_both_lists_and_nothing_else(flash: Flash) -> None:
    flash.delete_trust()
    assert flash.lists() == []
    assert (flash.config, flash.lsc is None) == (b"<device/>", False)


def test_factory_reset_leaves_the_mic(flash: Flash) -> None:
    flash.factory_reset()
    assert list(flash.folder.iterdir()) == []
    assert flash.identity == ("MIC", flash.mic)


def test_a_torn_list_is_none(flash: Flash) -> None:
    path = flash.folder / "CTLFile.tlv"
    path.write_bytes(path.read_bytes()[:-100])
    assert flash.held(CTL) is None
    assert [one.is_itl for one in flash.lists()] == [True]


def test_a_certificate_without_its_key_is_no_lsc(flash: Flash, pki: Lab) -> None:
    (flash.folder / "lsc-key.pem").unlink()
    assert flash.lsc is None
    bare = Flash(flash.folder)
    assert bare.identity is None
    flash.mic = pki.mics[OTHER]
    assert flash.identity == ("MIC", pki.mics[OTHER])
