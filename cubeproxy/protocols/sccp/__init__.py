"""SCCP (Skinny) as a DSP farm and its call manager speak it: framing, messages, and the machines of both ends.

`frame` cuts a stream into messages, `messages` and `media_messages` say what they hold, `farm` is the client that
registers, `server` the call manager's end of one connection, `session` what the call manager asks for one call.
"""

from cubeproxy.protocols.sccp import media_messages, messages  # each class enters the registry

__all__ = ["media_messages", "messages"]
