"""REFER with its NOTIFYs, and the dialogs that a transfer names (RFC 3515, RFC 3891, RFC 5589)."""

from __future__ import annotations

from urllib.parse import quote, unquote

from tests.border.scene import Peer, Scene, called, established, fitting, rtp, srtp


def dialog_of(peer: Peer) -> tuple[str, str, str]:
    """Call-ID, own tag, our tag, as the peer that called knows them."""
    assert peer.invite is not None
    assert peer.answer is not None
    return peer.invite.call_id, peer.invite.from_tag or "", peer.answer.to_tag or ""


def second_call(scene: Scene, phone: Peer) -> None:
    """The phone calls again, the first call stays."""
    node = scene.node()
    phone.calls("2002", srtp())
    phone.gets(100)
    node.answers(node.hears("INVITE"), 200, body=rtp(), tag="consulted")
    node.hears("ACK")
    phone.gets(200)
    phone.acks()


def test_a_blind_transfer_passes_with_its_notifies() -> None:
    scene = Scene()
    phone, node = established(scene)
    phone.within("REFER", headers=[("Refer-To", "<sip:3001@192.0.2.1>"), ("Referred-By", "<sip:1001@192.0.2.1>")])
    refer = node.hears("REFER")
    assert refer.headers.get("Refer-To") == "<sip:3001@198.51.100.11>"
    assert refer.headers.get("Referred-By") == "<sip:1001@198.51.100.11>"
    assert refer.contacts[0].uri.host == "198.51.100.1"
    node.answers(refer, 202)
    phone.gets(202)
    for line in (b"SIP/2.0 100 Trying", b"SIP/2.0 200 OK"):
        headers = [("Event", "refer"), ("Subscription-State", "active")]
        node.within("NOTIFY", body=line, content_type="message/sipfrag", headers=headers)
        notify = phone.hears("NOTIFY")
        assert notify.body == line
        assert notify.headers.get("Content-Type") == "message/sipfrag"
        assert notify.headers.get("Subscription-State") == "active"
        phone.answers(notify, 200)
        node.gets(200)
    node.within("BYE")
    node.gets(200)
    phone.hears("BYE")


def test_an_attended_transfer_names_the_dialog_as_the_core_knows_it() -> None:
    scene = Scene()
    phone, node = established(scene)
    first = (phone.invite, phone.answer)
    second_call(scene, phone)
    call_id, own, ours = dialog_of(phone)
    core = next(call for call in scene.border.calls if call.called.number == "2002").called.dialog
    assert core is not None
    phone.invite, phone.answer = first
    replaces = quote(f"{call_id};to-tag={ours};from-tag={own};early-only", safe="")
    phone.within("REFER", headers=[("Refer-To", f"<sip:2002@192.0.2.1?Replaces={replaces}>")])
    refer_to = node.hears("REFER").headers.get("Refer-To") or ""
    uri, _, named = refer_to.strip("<>").partition("?Replaces=")
    assert uri == "sip:2002@198.51.100.11"
    expected = f"{core.call_id};to-tag={core.remote_tag};from-tag={core.local_tag};early-only"
    assert sorted(unquote(named).split(";")) == sorted(expected.split(";"))


def test_replaces_of_an_invite_names_the_dialog_as_the_phone_knows_it() -> None:
    """The core asks a phone to replace a call of its own."""
    scene = Scene()
    phone, _ = established(scene)
    call = next(iter(scene.border.calls))
    core = call.called.dialog
    assert core is not None
    asking = scene.node()
    replaces = f"{core.call_id};to-tag={core.local_tag};from-tag={core.remote_tag}"
    asking.calls("1001", rtp(), [("Replaces", replaces), ("Require", "replaces")])
    asking.gets(100)
    invite = phone.hears("INVITE")
    call_id, own, ours = dialog_of(phone)
    assert invite.headers.get("Require") == "replaces"
    assert sorted((invite.headers.get("Replaces") or "").split(";")) == sorted(
        [call_id, f"to-tag={own}", f"from-tag={ours}"]
    )
    phone.answers(invite, 200, body=fitting(invite))


def test_a_phone_s_invite_with_replaces_is_translated_too() -> None:
    scene = Scene()
    phone, node, invite = called(scene)
    phone.answers(invite, 180)
    node.gets(180)
    call = next(iter(scene.border.calls))
    ours = call.called.dialog
    assert ours is not None
    replaces = f"{ours.call_id};to-tag={ours.local_tag};from-tag={ours.remote_tag}"
    phone.calls("2002", srtp(), [("Replaces", replaces)])
    phone.gets(100)
    core = call.caller.dialog
    assert core is not None
    heard = node.hears("INVITE").headers.get("Replaces") or ""
    assert sorted(heard.split(";")) == sorted([core.call_id, f"to-tag={core.remote_tag}", f"from-tag={core.local_tag}"])


def test_another_phone_s_dialog_is_not_translated() -> None:
    """Whoever names it does not own it, so the core is never told which one it is."""
    scene = Scene()
    phone, _ = established(scene)
    call_id, own, ours = dialog_of(phone)
    thief = scene.registered("1002", "SEP001122334466", "203.0.113.8")
    replaces = f"{call_id};to-tag={ours};from-tag={own}"
    thief.calls("2002", srtp(), [("Replaces", replaces)])
    thief.gets(100)
    assert scene.node().hears("INVITE").headers.get("Replaces") == replaces


def test_a_dialog_of_nobody_passes_as_it_is() -> None:
    scene = Scene()
    phone, node = established(scene)
    for named in ("nobody;to-tag=a;from-tag=b", "nothing", ";;;"):
        refer_to = f"<sip:2002@example.com?Replaces={quote(named, safe='')}>"
        phone.within("REFER", headers=[("Refer-To", refer_to)])
        refer = node.hears("REFER")
        assert refer.headers.get("Refer-To") == refer_to
        node.answers(refer, 202)
        phone.gets(202)


def test_a_call_without_its_other_leg_is_not_translated() -> None:
    scene = Scene()
    phone, _ = established(scene)
    first = (phone.invite, phone.answer)
    scene.auto_media = False
    phone.calls("2002", srtp())
    phone.gets(100)
    second = next(call for call in scene.border.calls if call.called.number == "2002")
    dialog = second.caller.dialog
    assert dialog is not None
    phone.invite, phone.answer = first
    named = f"{dialog.call_id};to-tag={dialog.local_tag};from-tag={dialog.remote_tag}"
    refer_to = f"<sip:2002@example.com?Replaces={quote(named, safe='')}>"
    phone.within("REFER", headers=[("Refer-To", refer_to)])
    assert scene.node().hears("REFER").headers.get("Refer-To") == refer_to
