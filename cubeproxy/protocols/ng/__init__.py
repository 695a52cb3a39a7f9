"""The ng control protocol of rtpengine: `bencode` (values), `messages` (commands, replies), `client` (a request and its
reply over UDP), `liveness` (whether an engine is there).

Source: rtpengine's documentation of the protocol, and what version 10.5 answers.
"""
