"""OPTIONS to the core nodes: who is up, who is out (by 503, 505 and silence), and how anybody hears of it."""

from __future__ import annotations

import pytest

from cubeproxy.border.nodes import Nodes, State
from cubeproxy.protocols.sip.message import Request
from cubeproxy.protocols.values import Severity
from tests.border.scene import NODE_1, NODE_2, Peer, Scene, sample


def scene(retry: int = 1) -> tuple[Scene, Peer]:
    """One node with `options-keepalive up-interval 60 down-interval 30 retry N`."""
    config = sample(keepalive=True)
    del config.dial_peers[201]
    keepalive = config.dial_peers[200].keepalive
    assert keepalive is not None
    keepalive.retry = retry
    one = Scene(config)
    one.wait(0)
    return one, one.node()


def state(one: Scene) -> State:
    (watch,) = one.border.nodes.watches.values()
    return watch.state


def answered(one: Scene, node: Peer, status: int = 200) -> Request:
    request = node.hears("OPTIONS")
    node.answers(request, status)
    return request


def test_the_ping() -> None:
    _, node = scene()
    ping = node.hears("OPTIONS")
    assert ping.uri == "sip:198.51.100.11:5060"
    assert ping.from_.uri.host == "198.51.100.1"
    assert ping.max_forwards == 70
    assert str(ping.contacts[0].uri) == "sip:198.51.100.1:5060;transport=tcp"


@pytest.mark.parametrize("status", [200, 400, 404, 405, 481, 500])
def test_any_answer_but_503_and_505_is_a_sign_of_life(status: int) -> None:
    one, node = scene()
    answered(one, node, status)
    assert state(one) is State.UP
    one.wait(59)
    assert one.quiet()
    one.wait(1)
    answered(one, node, status)
    assert one.events == []


@pytest.mark.parametrize("status", [503, 505])
def test_503_and_505_count_like_silence(status: int) -> None:
    one, node = scene()
    answered(one, node, status)
    assert state(one) is State.SUSPECT
    one.wait(1.5)
    answered(one, node, status)
    assert state(one) is State.DOWN


def test_a_provisional_answer_is_none() -> None:
    one, node = scene()
    node.answers(node.hears("OPTIONS"), 100)
    one.wait(2)
    assert state(one) is State.SUSPECT


def test_what_comes_of_an_earlier_probe_counts_for_nothing() -> None:
    one, node = scene(retry=3)
    earlier = node.hears("OPTIONS")
    one.wait(3.5)
    probe = node.hears("OPTIONS")
    node.answers(earlier, 503)
    assert state(one) is State.SUSPECT
    node.answers(probe, 200)
    assert state(one) is State.UP


def test_a_suspect_is_probed_quickly_and_still_used() -> None:
    one, node = scene(retry=3)
    node.hears("OPTIONS")
    for _ in range(2):
        one.wait(2)
        assert state(one) is State.SUSPECT
        assert one.border.nodes.usable(one.border.plan.core[0].nodes)
        one.wait(1.5)
        node.hears("OPTIONS")
    one.wait(2)
    one.wait(1.5)
    answered(one, node)
    assert state(one) is State.UP
    assert one.events == []
    one.wait(60)
    for _ in range(3):  # the count begins anew
        node.hears("OPTIONS")
        one.wait(2)
        assert state(one) is State.SUSPECT
        one.wait(1.5)


def test_down_and_up_are_told_once_each() -> None:
    one, node = scene()
    one.wait(6)
    assert state(one) is State.DOWN
    event = one.event("node.down")
    assert (event.severity, event.peer, event.fields["dial_peer"]) == (Severity.WARNING, "198.51.100.11:5060", 200)
    assert one.border.nodes.usable(one.border.plan.core[0].nodes) == []
    one.sent.clear()
    one.wait(30)
    assert len(one.sent) == 1
    one.wait(60)
    assert [event.name for event in one.events] == ["node.down"]
    one.sent.clear()
    one.wait(5)
    answered(one, node)
    assert state(one) is State.UP
    assert one.event("node.up").severity is Severity.NOTICE
    one.wait(59)
    assert one.quiet()
    one.wait(1.5)
    answered(one, node)


def test_with_no_retry_one_silence_is_enough() -> None:
    one, node = scene(retry=0)
    node.hears("OPTIONS")
    one.wait(2)
    assert state(one) is State.DOWN
    one.wait(29)
    assert one.quiet()
    one.wait(1)
    answered(one, node)
    assert state(one) is State.UP


def test_a_late_answer_counts_for_nothing_but_the_next_does() -> None:
    one, node = scene(retry=0)
    late = node.hears("OPTIONS")
    one.wait(2.5)
    node.answers(late, 200)
    assert state(one) is State.DOWN


def test_a_call_that_got_nothing_has_the_node_probed_at_once() -> None:
    one, node = scene()
    answered(one, node)
    target = next(iter(one.border.nodes.watches))
    one.border.nodes.failed(target, one.now)
    one.wait(0)
    ping = node.hears("OPTIONS")
    one.border.nodes.failed(target, one.now)
    one.wait(0)
    assert one.quiet()  # one probe at a time
    node.answers(ping, 200)
    assert state(one) is State.UP


def test_a_refused_connection_is_a_silence_at_once() -> None:
    one, node = scene(retry=0)
    node.hears("OPTIONS")
    one.fail(next(iter(one.border.nodes.watches)))
    assert state(one) is State.DOWN


def test_a_node_without_keepalive_rests_after_a_failure() -> None:
    config = sample()
    one = Scene(config)
    nodes: Nodes = one.border.nodes
    first, second = one.border.router.core_nodes(_any(), one.border.plan.peers[100])
    nodes.failed(first.target, one.now)
    assert nodes.usable([first, second]) == [second, first]
    one.wait(20)
    nodes.failed(first.target, one.now)
    one.wait(20)
    assert nodes.usable([first, second]) == [second, first]
    assert nodes.is_up(first.target)
    one.wait(11)
    assert nodes.usable([first, second]) == [first, second]
    one.wait(100)
    assert one.events == []
    assert one.quiet()
    nodes.failed(first.target, one.now)
    assert nodes.usable([first, second]) == [second, first]
    one.wait(29)
    assert nodes.usable([first, second]) == [second, first]
    one.wait(2)
    assert nodes.usable([first, second]) == [first, second]


def _any() -> Request:
    return Request("INVITE", "sip:2001@192.0.2.1")


def test_two_nodes_are_watched_apart() -> None:
    one = Scene(sample(keepalive=True, replace={"retry 5": "retry 1"}))
    one.wait(0)
    second = one.node(NODE_2)
    answered(one, second)
    one.wait(6)
    up = {target.host: one.border.nodes.is_up(target) for target in one.border.nodes.watches}
    assert up == {NODE_1[0]: False, NODE_2[0]: True}


def test_options_from_either_side_are_answered_with_what_we_can() -> None:
    one = Scene()
    for peer, own in ((one.phone(), "192.0.2.1"), (one.node(), "198.51.100.1")):
        peer.out("OPTIONS", f"sip:{own}")
        answer = peer.gets(200)
        assert "INVITE" in (answer.headers.all("Allow"))
        assert answer.headers.get("Accept") == "application/sdp"
        assert "100rel" in answer.headers.all("Supported")
        peer.out("OPTIONS", f"sip:{own}", headers=[("Require", "foo")])
        assert peer.gets(420).headers.all("Unsupported") == ["foo"]
