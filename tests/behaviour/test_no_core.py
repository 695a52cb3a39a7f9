"""The whole cluster is gone: phones are told to come back later, and the operator why."""

from __future__ import annotations

from pathlib import Path

import pytest

from cubelab.agent.voice_call import CallFailed
from tests.behaviour.raw import header, status
from tests.behaviour.siege import Siege


def test_phones_get_503_and_the_operator_one_event_a_request(tmp_path: Path) -> None:
    with Siege(tmp_path) as siege:
        siege.do(siege.stage.cucm.close())
        mark = siege.mark()
        with siege.rogue() as phone:
            answer = phone.register()
        assert status(answer) == 503
        assert answer is not None
        assert header(answer, "Retry-After").isdigit()
        assert "No core node answers" in header(answer, "Warning")
        event = mark.one("registration.refused")
        assert (event["cause"], event["device"]) == ("all-nodes-down", "SEP0011223344EE")
        assert event["fix"]
        call = siege.do(siege.stage.phones["1002"].call("3001"))
        with pytest.raises(CallFailed) as caught:
            siege.do(call.answered())
        assert caught.value.status == 503
        assert mark.one("call.refused")["cause"] == "all-nodes-down"
        siege.clean()
