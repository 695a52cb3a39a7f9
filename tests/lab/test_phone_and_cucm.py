"""Phones straight at the virtual CUCM, without a proxy: registration, calls, hold, refusals, real audio."""

from __future__ import annotations

import asyncio

import pytest

from cubelab.agent.leg import State
from cubelab.agent.voice_call import CallFailed
from cubelab.audio.tones import PALETTE, listen
from cubelab.phone.phone import RegistrationFailed
from cubelab.voice.negotiation import PLAIN, SECURE, VoiceProfile
from cubelab.voice.voice import VoiceFault
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import Transport
from tests.lab.scene import Scene, hears
from tests.waiting import until

TONE_1, TONE_2 = PALETTE[0], PALETTE[3]


def play(scene_of):
    asyncio.run(asyncio.wait_for(scene_of, 30))


@pytest.mark.parametrize("transport", list(Transport))
def test_a_phone_registers_with_a_digest_and_leaves_again(lab_pki, transport):
    async def scene():
        async with Scene(lab_pki, transport) as lab:
            phone = await lab.phone(1)
            registration = await phone.register()
            assert registration.challenged
            assert registration.expires == 3600
            binding = lab.cucm.registrar.bindings["1001"]
            assert binding.device == phone.settings.device
            assert binding.flow.remote[0] == phone.settings.host
            await phone.unregister()
            assert lab.cucm.registrar.bindings == {}

    play(scene())


def test_a_refresh_reuses_the_nonce_and_keeps_the_call_id(lab_pki):
    async def scene():
        async with Scene(lab_pki) as lab:
            phone = await lab.phone(1)
            await phone.register()
            await phone.register()
            assert (lab.cucm.registrar.challenges, lab.cucm.registrar.accepted) == (1, 2)

    play(scene())


def test_a_registration_is_refreshed_before_it_ends(lab_pki):
    async def scene():
        async with Scene(lab_pki) as lab:
            phone = await lab.phone(1)
            await phone.register()
            phone._schedule(0.0)
            await until(lambda: lab.cucm.registrar.accepted == 2)

    play(scene())


def test_a_wrong_password_is_refused_and_not_tried_for_ever(lab_pki):
    async def scene():
        async with Scene(lab_pki) as lab:
            phone = await lab.phone(1, password="guessed")
            with pytest.raises(RegistrationFailed, match="401") as refused:
                await phone.register()
            assert refused.value.status == 401
            assert lab.cucm.registrar.challenges == 2

    play(scene())


def test_a_number_that_the_cluster_does_not_know_is_404(lab_pki):
    async def scene():
        async with Scene(lab_pki, users={"1001": "x"}) as lab:
            with pytest.raises(RegistrationFailed, match="404"):
                await (await lab.phone(2)).register()

    play(scene())


def test_a_certificate_of_another_authority_ends_in_the_handshake(lab_pki):
    async def scene():
        async with Scene(lab_pki) as lab:
            bad = lab_pki.bad["unknown-capf"]
            phone = await lab.phone(1, certificate=bad.certificate, key=bad.key)
            with pytest.raises(RegistrationFailed) as refused:
                await phone.register()
            assert refused.value.status == 0
            assert lab.cucm.registrar.bindings == {}
            assert any("certificate" in event.text for event in lab.cucm.agent.events)

    play(scene())


def test_a_phone_does_not_talk_to_a_proxy_that_it_does_not_trust(lab_pki):
    async def scene():
        async with Scene(lab_pki) as lab:
            phone = await lab.phone(1, trust=(lab_pki.cube,))
            with pytest.raises(RegistrationFailed):
                await phone.register()
            assert any("vouches" in event.text for event in phone.agent.events)

    play(scene())


def test_a_dead_cluster_is_reported_as_such(lab_pki):
    async def scene():
        async with Scene(lab_pki) as lab:
            phone = await lab.phone(1, proxy=("127.51.1.99", 21999))
            with pytest.raises(RegistrationFailed, match=r"127\.51\.1\.99:21999") as refused:
                await phone.register()
            assert refused.value.status == 0

    play(scene())


def test_a_cluster_can_be_told_to_refuse(lab_pki):
    async def scene():
        async with Scene(lab_pki, reject=503) as lab:
            with pytest.raises(RegistrationFailed, match="503"):
                await (await lab.phone(1)).register()

    play(scene())


async def registered(lab: Scene, *, first=None, second=None):
    one = await lab.phone(1, says=TONE_1, **(first or {}))
    two = await lab.phone(2, says=TONE_2, **(second or {}))
    await asyncio.gather(one.register(), two.register())
    return one, two


SUITES = [(suite,) for suite in Suite] + [()]


@pytest.mark.parametrize("suites", SUITES, ids=lambda suites: suites[0].value if suites else "RTP")
def test_two_phones_hear_each_other(lab_pki, suites):
    async def scene():
        async with Scene(lab_pki) as lab:
            profile = {"voice": VoiceProfile(suites=suites)}
            one, two = await registered(lab, first=profile, second=profile)
            call = await one.call("1002")
            session = await call.answered()
            other = await two.incoming.get()
            assert session.secure is bool(suites)
            if suites:
                assert session.send_key.suite is suites[0]
                assert session.send_key.master != session.receive_key.master
            await hears(call.voice, 30)
            await hears(other.voice, 30)
            await call.hang_up()
            assert await other.leg.over == "BYE from the far end"
            assert listen(other.voice.recording.samples(), TONE_1).heard
            assert listen(call.voice.recording.samples(), TONE_2).heard
            assert 180 in call.progress
            assert lab.cucm.bridges == 1
            await until(lambda: not lab.cucm.legs)

    play(scene())


def test_the_clusters_own_endpoint_answers_and_calls(lab_pki):
    async def scene():
        async with Scene(lab_pki, voice=SECURE) as lab:
            one, _ = await registered(lab)
            call = await one.call("3001")
            await call.answered()
            await hears(call.voice, 30)
            await call.hang_up()
            assert listen(call.voice.recording.samples(), 1000).heard
            back = await lab.cucm.call("1001", 1250)
            await back.answered()
            heard = await one.incoming.get()
            await hears(heard.voice, 30)
            await back.hang_up()
            await heard.leg.over
            assert listen(heard.voice.recording.samples(), 1250).heard
            with pytest.raises(LookupError):
                await lab.cucm.call("1003", None)

    play(scene())


def test_hold_silences_one_direction_and_resume_brings_it_back(lab_pki):
    async def scene():
        async with Scene(lab_pki) as lab:
            one, two = await registered(lab)
            call = await one.call("1002")
            await call.answered()
            other = await two.incoming.get()
            before = call.session
            await hears(call.voice, 5)
            await call.hold()
            assert (call.session.sends, call.session.receives) == (True, False)
            assert (other.session.sends, other.session.receives) == (False, True)
            sent = other.voice.counters.sent
            heard = len(other.voice.recording)
            await hears(other.voice, heard + 10)
            assert other.voice.counters.sent == sent
            await call.resume()
            assert other.session.sends
            assert call.session.send_key == before.send_key, "a hold must not re-key"
            count = len(call.voice.recording)
            await hears(call.voice, count + 10)
            assert call.voice.counters.refused == 0
            assert call.voice.counters.replayed == 0
            await other.hang_up()
            await call.leg.over

    play(scene())


def test_a_call_that_is_given_up_while_it_rings_is_487(lab_pki):
    async def scene():
        async with Scene(lab_pki) as lab:
            one, two = await registered(lab, second={"answers": False})
            call = await one.call("1002")
            ringing = await two.incoming.get()
            await until(lambda: 180 in call.progress)
            await call.hang_up()
            with pytest.raises(CallFailed) as failed:
                await call.answered()
            assert failed.value.status == 487
            await ringing.leg.over
            assert ringing.leg.state is State.ENDED
            await until(lambda: not lab.cucm.legs)

    play(scene())


def test_a_busy_or_unknown_number_says_so(lab_pki):
    async def scene():
        async with Scene(lab_pki) as lab:
            one, two = await registered(lab, second={"answers": False})
            with pytest.raises(CallFailed, match="404"):
                await (await one.call("1003")).answered()
            call = await one.call("1002")
            (await two.incoming.get()).leg.answer(486)
            with pytest.raises(CallFailed, match="486") as failed:
                await call.answered()
            assert failed.value.status == 486

    play(scene())


def test_a_plain_offer_to_a_phone_that_wants_srtp_is_488(lab_pki):
    async def scene():
        async with Scene(lab_pki) as lab:
            one, _ = await registered(lab, first={"voice": PLAIN})
            with pytest.raises(CallFailed, match="488"):
                await (await one.call("1002")).answered()

    play(scene())


@pytest.mark.parametrize(
    ("fault", "counter"), [(VoiceFault.WRONG_KEY, "refused"), (VoiceFault.CLEAR, "refused")], ids=["wrong key", "clear"]
)
def test_a_phone_that_does_not_use_its_announced_key_is_not_heard(lab_pki, fault, counter):
    async def scene():
        async with Scene(lab_pki) as lab:
            one, two = await registered(lab, first={"fault": fault})
            call = await one.call("1002")
            await call.answered()
            other = await two.incoming.get()
            await hears(call.voice, 20)
            await until(lambda: getattr(other.voice.counters, counter) >= 20)
            assert len(other.voice.recording) == 0
            await call.hang_up()

    play(scene())


def test_fifty_calls_at_once_leave_nothing_behind(lab_pki):
    """Without audio, as a load tool: registrations and calls in one process."""

    async def scene():
        users = {str(number): "secret" for number in range(5000, 5100)}
        async with Scene(lab_pki, Transport.UDP, users=users, record=False) as lab:
            phones = [
                await lab.phone(1, number=number, password="secret", voice=PLAIN, record=False, host="127.51.3.1")
                for number in users
            ]
            await asyncio.gather(*(phone.register() for phone in phones))
            assert len(lab.cucm.registrar.bindings) == 100
            calls = [await phone.call(str(5050 + index)) for index, phone in enumerate(phones[:50])]
            await asyncio.gather(*(call.answered() for call in calls))
            assert lab.cucm.bridges == 50
            await asyncio.gather(*(call.hang_up() for call in calls))
            await until(lambda: not lab.cucm.legs and not any(phone.legs for phone in phones))

    play(scene())
