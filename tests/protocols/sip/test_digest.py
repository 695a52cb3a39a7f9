"""Digest authentication by the published examples (RFC 2617 3.5, RFC 7616 3.9.1) and around them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sip.digest import (
    Challenge,
    Credentials,
    Freshness,
    Nonces,
    answer,
    choose,
    parse_authorization,
    parse_challenge,
    response,
    verify,
)
from tests.protocols.sip import strategies as sip

RFC2617 = Challenge(
    realm="testrealm@host.com",
    nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
    qop=("auth", "auth-int"),
    opaque="5ccc069c403ebaf9f0171e9517f40e41",
)
RFC7616 = Challenge(
    realm="http-auth@example.org",
    nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    qop=("auth", "auth-int"),
    opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
)
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def test_the_example_of_rfc_2617() -> None:
    text = answer(RFC2617, "GET", "/dir/index.html", "Mufasa", "Circle Of Life", cnonce="0a4f113b")
    credentials = parse_authorization(text)
    assert credentials.response == "6629fae49393a05397450978507c4ef1"
    assert (credentials.nc, credentials.qop, credentials.opaque) == ("00000001", "auth", RFC2617.opaque)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: str, expected: str) -> None:
    challenge = replace(RFC7616, algorithm=algorithm)
    text = answer(challenge, "GET", "/dir/index.html", "Mufasa", "Circle of Life", cnonce=CNONCE)
    assert parse_authorization(text).response == expected
    assert f"algorithm={algorithm}" in text


def test_without_qop_the_old_form_is_used() -> None:
    """RFC 2069's example, with the digest of its erratum."""
    expected = "1949323746fe6a43ef61f9606e7febea"
    challenge = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093")
    text = answer(challenge, "GET", "/dir/index.html", "Mufasa", "CircleOfLife")
    assert parse_authorization(text).response == expected
    assert "cnonce" not in text
    assert "nc=" not in text


def test_session_algorithms_bind_the_nonces() -> None:
    """RFC 7616 3.4.2 by hand: H(H(H(user:realm:password):nonce:cnonce):nonce:nc:cnonce:auth:H(method:uri))."""
    import hashlib

    def h(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    first = h(f"{h('u:r:p')}:n:c")
    expected = h(f"{first}:n:00000002:c:auth:{h('REGISTER:sip:r')}")
    challenge = Challenge("r", "n", algorithm="SHA-256-sess", qop=("auth",))
    text = answer(challenge, "REGISTER", "sip:r", "u", "p", nc=2, cnonce="c")
    assert parse_authorization(text).response == expected
    assert verify(parse_authorization(text), "REGISTER", "p", challenge=challenge)
    bare = answer(replace(challenge, qop=()), "REGISTER", "sip:r", "u", "p", cnonce="c")
    assert verify(parse_authorization(bare), "REGISTER", "p")


def test_a_challenge_is_read_and_written() -> None:
    text = 'digest\trealm="a \\"b\\" \\\\c" , NONCE=abc, stale=TRUE,algorithm=md5,qop="auth, auth-int"'
    text += ',domain="sip:x",opaque=""'
    challenge = parse_challenge(text)
    assert challenge == Challenge('a "b" \\c', "abc", "md5", ("auth", "auth-int"), "", True, "sip:x")
    assert parse_challenge(str(challenge)) == challenge


@given(sip.displays, sip.displays, sip.displays, sip.displays)
def test_quoted_strings_keep_their_meaning(realm: str, nonce: str, user: str, password: str) -> None:
    challenge = Challenge(realm, nonce, qop=("auth",), opaque=user)
    assert parse_challenge(str(challenge)) == challenge
    credentials = parse_authorization(answer(challenge, "INVITE", "sip:x", user, password, nc=7, cnonce="c"))
    assert (credentials.username, credentials.realm, credentials.nonce) == (user, realm, nonce)
    assert parse_authorization(str(credentials)) == credentials
    assert verify(credentials, "INVITE", password, challenge=challenge)
    assert not verify(credentials, "INVITE", password + "x", challenge=challenge)


def test_a_proof_is_good_for_one_question_only() -> None:
    challenge = replace(RFC7616, algorithm="SHA-256")
    good = parse_authorization(answer(challenge, "INVITE", "sip:x", "u", "p", cnonce="c"))
    assert verify(good, "INVITE", "p", challenge=challenge)
    assert verify(replace(good, response=good.response.upper()), "INVITE", "p", challenge=challenge)
    for changed in (
        replace(good, uri="sip:y"),
        replace(good, nc="00000002"),
        replace(good, nonce="n"),
        replace(good, cnonce="d"),
        replace(good, username="v"),
        replace(good, realm="r"),
        replace(good, algorithm="MD5"),
        replace(good, algorithm="SHA-512-256"),
        replace(good, qop=""),
        replace(good, qop="auth-int"),
        replace(good, response="\udcff"),
        replace(good, response=""),
    ):
        assert not verify(changed, "INVITE", "p", challenge=challenge)
    assert not verify(good, "BYE", "p", challenge=challenge)


@pytest.mark.parametrize(("algorithm", "qop"), [("SHA-512-256", "auth"), ("MD5", "auth-int"), ("", "token")])
def test_what_we_cannot_compute_is_never_right(algorithm: str, qop: str) -> None:
    """Even when the hash is the one that our own function gives for these words."""
    known = {"realm": "r", "method": "BYE", "uri": "sip:x", "nonce": "n", "nc": "00000001", "cnonce": "c"}
    proof = response(algorithm, user="u", password="p", qop=qop, **known)
    credentials = Credentials("u", "r", "n", "sip:x", proof, algorithm, qop, "c", "00000001")
    assert not verify(credentials, "BYE", "p")


def test_a_downgrade_is_no_answer() -> None:
    """Right hashes, but not of what was asked: another algorithm, no qop, another realm."""
    asked = Challenge("r", "n", algorithm="SHA-256", qop=("auth",))
    for other in (replace(asked, algorithm=""), replace(asked, qop=()), replace(asked, realm="x")):
        credentials = parse_authorization(answer(other, "BYE", "sip:x", "u", "p", cnonce="c"))
        assert verify(credentials, "BYE", "p")
        assert not verify(credentials, "BYE", "p", challenge=asked)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Basic abc",
        'Bearer realm="x", nonce="y"',
        'Digestrealm="x", nonce="y"',
        "NoOneKnowsThisScheme opaque-data=here",
        "Digest",
        'Digest realm="x"',
        'Digest realm="x", realm="y", nonce="z"',
        'Digest realm="x" nonce="y"',
        'Digest realm="x, nonce="y"',
        "Digest realm",
    ],
)
def test_a_bad_challenge_is_the_peers_error(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_challenge(text)


def test_credentials_with_qop_need_nc_and_cnonce() -> None:
    base = 'Digest username="u", realm="r", nonce="n", uri="sip:x", response="00", qop=auth'
    for text in (base, base + ", nc=1, cnonce=c", base + ", nc=0000000g, cnonce=c", base + ", nc=00000001"):
        with pytest.raises(RemoteProtocolError):
            parse_authorization(text)
    assert parse_authorization(base + ', nc=0000000A, cnonce="c"').nc == "0000000A"


def test_the_first_challenge_that_can_be_answered_is_chosen() -> None:
    """RFC 8760 2.4: the server lists them by preference."""
    first = str(replace(RFC7616, algorithm="SHA-512-256"))
    only_int = str(replace(RFC7616, qop=("auth-int",)))
    sha, md5 = str(replace(RFC7616, algorithm="SHA-256")), str(RFC7616)
    chosen = choose(["Basic realm=x", first, only_int, sha, md5])
    assert chosen is not None
    assert chosen.algorithm == "SHA-256"
    assert choose([first, only_int]) is None


def test_what_cannot_be_answered_says_whose_fault_it_is() -> None:
    with pytest.raises(RemoteProtocolError):
        answer(replace(RFC7616, algorithm="SHA-512-256"), "GET", "/", "u", "p", cnonce="c")
    with pytest.raises(LocalProtocolError):
        answer(RFC7616, "GET", "/", "u", "p")


def test_nonces_are_ours_and_age() -> None:
    nonces = Nonces(b"key", lifetime=60)
    nonce = nonces.issue(1000.5)
    assert nonces.judge(nonce, 1060) is Freshness.FRESH
    assert nonces.judge(nonce, 1061) is Freshness.STALE
    for foreign in (Nonces(b"other").issue(1000), "3e9" + nonce[3:], "", "x", nonce + "0"):
        assert nonces.judge(foreign, 1000) is Freshness.FOREIGN


def test_a_repr_shows_no_proof() -> None:
    credentials = Credentials("u", "r", "n", "sip:x", "feedface", cnonce="c0ffee")
    assert "feedface" not in repr(credentials)
    assert "c0ffee" not in repr(credentials)


@given(st.one_of(sip.sip_like_text, st.text('Digest rnqop=",\\', max_size=40).map(lambda text: "Digest " + text)))
def test_nothing_but_the_peers_error_comes_out(text: str) -> None:
    for parse in (parse_challenge, parse_authorization):
        try:
            parse(text)
        except RemoteProtocolError:
            continue


def test_the_bare_function_takes_any_case_of_algorithm() -> None:
    known = {"user": "u", "realm": "r", "password": "p", "method": "M", "uri": "x", "nonce": "n"}
    assert response("sha-256", **known) == response("SHA-256", **known)
    assert response("md5", **known) != response("SHA-256", **known)
