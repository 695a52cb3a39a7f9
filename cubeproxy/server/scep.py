"""SCEP over HTTP: carries out what `pki.scep.client` asks for. Blocking, for the command line."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException

from cryptography import x509

from cubeproxy.pki.scep.client import Ask, Enrolled, Enrolment, Wait, checked_url, operation_url, read_authorities
from cubeproxy.pki.scep.messages import LARGEST
from cubeproxy.protocols.errors import TrustError

PATIENCE = 30.0  # s for one answer


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An authority that answers elsewhere is another one."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())


def exchange(ask: Ask) -> tuple[int, bytes]:
    """Status and body. TrustError when nobody answers."""
    headers = {"Content-Type": "application/x-pki-message"} if ask.body is not None else {}
    request = urllib.request.Request(ask.url, ask.body, headers)  # noqa: S310 - the client checked its scheme
    try:
        with _OPENER.open(request, timeout=PATIENCE) as reply:
            return reply.status, reply.read(LARGEST + 1)
    except urllib.error.HTTPError as error:
        return error.code, b""
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise TrustError(
            f"the authority at {ask.url.partition('?')[0]} cannot be reached: {reason}",
            fix="check the enrollment URL, and the way to it",
        ) from None


def fetch_authorities(url: str) -> tuple[x509.Certificate, ...]:
    """What GetCACert answers: unverified until somebody compared a fingerprint. TrustError, ScepError."""
    status, body = exchange(Ask(operation_url(checked_url(url), "GetCACert")))
    if status != 200 or not body:
        raise TrustError(f"the authority answered HTTP {status}", fix="is this the URL of NDES (mscep.dll)?")
    return read_authorities(body)


def enrol(enrolment: Enrolment, told: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> Enrolled:
    """Until there is a certificate. TrustError, ScepError."""
    step: Ask | Wait | Enrolled = enrolment.start()
    while not isinstance(step, Enrolled):
        if isinstance(step, Wait):
            told(f"% The authority has not decided yet; next poll in {step.seconds:.0f} s")
            sleep(step.seconds)
            step = enrolment.poll()
        step = enrolment.receive(*exchange(step))
    return step
