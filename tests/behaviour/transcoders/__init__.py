"""One suite over the members of the transcoder pool.

`members.py` says how each is set up, `bench.py` is a service with a call through it, `callers.py` the two that speak
and judge what they hear. A row of the suite takes the fixture `member`; one that needs a capability says so with
`@needs(...)`, and runs with every member that declares it. `test_every_member.py` holds what is never optional,
`test_capabilities.py` pins who declares what, with the reason of each gap.
"""
