"""How a phone boots: trust lists, configuration, CAPF, and then it knows where to register and as whom.

The order and the rules are those of the 7900 and 8800 series. Each step leaves a line in the diary. What is refused
leaves things as they were: an old list stays in force, and the stored configuration is used again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cubelab.phone.configuration import Configuration, read_configuration
from cubelab.phone.diary import Diary
from cubelab.phone.download import Downloader, File
from cubelab.phone.enrolment import Enrolment
from cubelab.phone.flash import CTL, ITL, Flash
from cubelab.phone.rules import contents, judge_file, judge_list, name_of, pinned, role_name
from cubelab.phone.settings import PhoneSettings
from cubelab.phone.verification import NotVerified, Verification
from cubelab.pki.issue import issuer_name, short_name
from cubelab.pki.lab import Identity
from cubelab.provisioning.capf import carry
from cubelab.provisioning.models import Model
from cubelab.provisioning.tftp import FetchFailed, NoFile
from cubelab.provisioning.tls import Connection, connect
from cubeproxy.protocols.capf import AuthMode, Client, Operation
from cubeproxy.protocols.errors import RemoteProtocolError, TrustError
from cubeproxy.protocols.trustlist import (
    FILE_SIGNERS,
    SIP_SERVERS,
    Envelope,
    Role,
    Rule,
    TrustList,
    TrustListError,
    check_signature,
    read_list,
    read_signed,
)
from cubeproxy.protocols.trustlist.signing import load_certificate
from cubeproxy.protocols.values import DeviceIdentity, Transport

PROOFS = {
    AuthMode.STRING: "authentication string",
    AuthMode.NULL: "none",
    AuthMode.LSC: "existing certificate",
    AuthMode.MIC: "MIC",
}


class BootFailed(Exception):
    """The phone has nothing to register with; its diary says why."""


@dataclass(slots=True)
class Booted:
    """What a boot has come to. `identity` is None where none is shown."""

    configuration: Configuration
    raw: bytes = field(repr=False)  # the configuration as it was read
    identity: tuple[str, Identity] | None  # LSC or MIC
    enrolled: bool = False  # a CAPF operation was carried out in this boot


@dataclass
class BootSettings:
    device: str  # SEP and the MAC
    model: Model
    string: str = field(default="", repr=False)  # CAPF's authentication string, as the user types it
    refuse_older: bool = False  # a knob: phones are not known to look at the age of a list


class Boot:
    """One phone's power-on. `flash` outlives it."""

    def __init__(self, settings: BootSettings, flash: Flash, downloader: Downloader, diary: Diary) -> None:
        self.settings = settings
        self.flash = flash
        self.diary = diary
        self._downloader = downloader

    async def run(self) -> Booted:
        """BootFailed when there is no configuration, or no secure registration to be had with it."""
        await self._list(CTL, f"CTL{self.settings.device}.tlv")
        if not await self._list(ITL, f"ITL{self.settings.device}.tlv"):
            await self._list(ITL, "ITLFile.tlv")
        raw = await self._configuration()
        booted = Booted(self._read(raw), raw, None)
        if booted.configuration.secure and not self.flash.lists():
            raise self._failed("identity", "an encrypted registration is asked for, and there is no CTL and no ITL")
        booted.enrolled = await self._enrol(booted.configuration)
        booted.identity = self._identity(booted.configuration)
        return booted

    def phone(self, booted: Booted, host: str) -> PhoneSettings:
        """How to register with what was found. The first CallManager is taken."""
        found = booted.configuration
        identity = booted.identity[1] if booted.identity else None
        return PhoneSettings(
            number=found.number,
            password=found.password,
            device=self.settings.device,
            host=host,
            proxy=found.managers[0],
            transport=found.transport,
            certificate=identity.certificate if identity else None,
            key=identity.key if identity else None,
            judge=self.judge_server,
            expires=found.expires,
        )

    # trust lists

    async def _list(self, kind: str, name: str) -> bool:
        """Whether the server has such a list; what becomes of it is in the diary."""
        try:
            file = await self._downloader.fetch(name)
        except NoFile:
            self.diary.note(kind, f"{name}: the server has none")
            return False
        except FetchFailed as error:
            self.diary.refuse(kind, f"{name} could not be fetched: {error}")
            return False
        held = self.flash.lists()
        try:
            accepted = judge_list(file.content, held, refuse_older=self.settings.refuse_older)
            found, why = accepted.found, accepted.why
        except TrustListError as error:
            trusted = await self._ask_about_list(file, error, held)
            if trusted is None:
                stays = f"the {' and '.join(name_of(one) for one in held)} stays in force" if held else "nothing held"
                self.diary.refuse(kind, f"{_label(file)}: {error}; {stays}")
                return True
            found, why = trusted
        self.flash.store_list(kind, file.content)
        self.diary.note(kind, f"{_label(file)}: {why}; {contents(found)}")
        return True

    async def _ask_about_list(
        self, file: File, error: TrustListError, held: list[TrustList]
    ) -> tuple[TrustList, str] | None:
        """An unknown signer may be one that TVS knows."""
        if error.rule is not Rule.SIGNER_UNKNOWN or not held:
            return None
        found = read_list(file.content)
        why = await self._ask(found.envelope, (Role.SAST,))
        return (found, why) if why else None

    async def _ask(self, envelope: Envelope, roles: tuple[int, ...]) -> str:
        """Why the signer is believed after all, "" when it is not. The TVS is the stored configuration's."""
        if not self.settings.model.asks_tvs or self.flash.config is None:
            return ""
        try:
            verdict = await self._verification(self._read(self.flash.config)).signer(envelope.header)
            check_signature(envelope, load_certificate(verdict.certificate or b""))
        except (NotVerified, TrustListError, BootFailed) as error:
            self.diary.refuse("tvs", str(error))
            return ""
        if not verdict.roles & set(roles):
            self.diary.refuse("tvs", f"{envelope.header.signer} is known, and may not sign this")
            return ""
        self.diary.note("tvs", f"{envelope.header.signer} is vouched for, for {verdict.ttl} s")
        return f"signed by {envelope.header.signer}, unknown here and vouched for by TVS"

    def _verification(self, found: Configuration) -> Verification:
        s, host = self.settings, self._downloader.host
        return Verification(s.device, host, found.tvs, self.flash.lists(), s.model.legacy_tls)

    # configuration

    async def _configuration(self) -> bytes:
        """The configuration to use: the server's if it is believed, else the stored one. BootFailed."""
        name = f"{self.settings.device}.cnf.xml"
        raw = await (self._signed(f"{name}.sgn") if self.flash.lists() else self._unsigned(name))
        if raw is not None:
            self.flash.store_config(raw)
            return raw
        stored = self.flash.config
        if stored is None:
            raise BootFailed("there is no configuration that this phone could use")
        self.diary.note("config", "the one stored before is used again")
        return stored

    async def _signed(self, name: str) -> bytes | None:
        """Whoever holds a list asks for signed files only, and believes no other."""
        file = await self._fetch(name)
        if file is None:
            return None
        held = self.flash.lists()
        try:
            envelope, why = judge_file(file.content, held, name)
        except TrustListError as error:
            why = ""
            if error.rule is Rule.SIGNER_UNKNOWN:
                envelope = read_signed(file.content)
                why = await self._ask(envelope, FILE_SIGNERS)
            if not why:
                what = "not signed, and a list is held" if error.rule is Rule.MALFORMED else str(error)
                self.diary.refuse("config", f"{_label(file)}: {what}")
                return None
        self.diary.note("config", f"{_label(file)}: {why}")
        return envelope.payload

    async def _unsigned(self, name: str) -> bytes | None:
        file = await self._fetch(name)
        if file is None:
            return None
        self.diary.note("config", f"{_label(file)}: unsigned, and taken since no list is held")
        return file.content

    async def _fetch(self, name: str) -> File | None:
        try:
            return await self._downloader.fetch(name)
        except NoFile:
            self.diary.refuse("config", f"{name}: the server has none")
        except FetchFailed as error:
            self.diary.refuse("config", f"{name} could not be fetched: {error}")
        return None

    def _read(self, raw: bytes) -> Configuration:
        try:
            return read_configuration(raw)
        except RemoteProtocolError as error:
            raise self._failed("config", str(error)) from None

    # CAPF

    async def _enrol(self, found: Configuration) -> bool:
        """Whether what was pending is done. A refusal is no reason not to register with what there is."""
        if found.capf_mode is AuthMode.NONE or found.capf is None:
            return False
        where, s = f"{found.capf[0]}:{found.capf[1]}", self.settings
        try:
            connection = await connect(found.capf, self._downloader.host, legacy=s.model.legacy_tls)
        except (OSError, TimeoutError) as error:
            self.diary.refuse("capf", f"{where}: no connection: {error or 'too slow'}")
            return False
        try:
            if not await self._believe_capf(connection, found, where):
                return False
            authority = x509.load_der_x509_certificate(connection.certificate)
            owner = Enrolment(s.device, self.flash, found.capf_mode, authority, s.string)
            return await self._session(owner, connection, where)
        finally:
            await connection.close()

    async def _believe_capf(self, connection: Connection, found: Configuration, where: str) -> bool:
        """Before the first message: a wrong CAPF would learn the authentication string."""
        subject = _subject(connection.certificate)
        match = pinned(connection.certificate, self.flash.lists(), (Role.CAPF,))
        if match is not None:
            why = f"{subject} is listed for CAPF in the {name_of(match[1])}"
        elif not self.flash.lists():
            why = f"{subject} is taken on faith, since no list is held"
        elif approved := await self._approved(connection.certificate, found):
            why = approved
        else:
            self.diary.refuse("capf", f"{where}: {subject} is not in the list that is held as CAPF: nothing was said")
            return False
        self.diary.note("capf", f"{where}: {why} ({connection.version})")
        return True

    async def _approved(self, certificate: bytes, found: Configuration) -> str:
        if not self.settings.model.asks_tvs or found.tvs is None:
            return ""
        try:
            verdict = await self._verification(found).peer(certificate)
        except NotVerified as error:
            self.diary.refuse("tvs", str(error))
            return ""
        return f"{_subject(certificate)} is vouched for by TVS" if Role.CAPF in verdict.roles else ""

    async def _session(self, owner: Enrolment, connection: Connection, where: str) -> bool:
        client = Client(self.settings.device)
        try:
            ended = await carry(client, connection.reader, connection.writer, lambda effect: owner.work(client, effect))
        except OSError as error:
            self.diary.refuse("lsc", f"{where}: {error}")
            return False
        if ended.cause not in {one.value for one in Operation}:
            reason = "" if ended.reason is None else f" (reason {ended.reason})"
            self.diary.refuse("lsc", f"{where}: {ended.cause}{reason} {ended.text}".rstrip())
            return False
        how = f"asked by {short_name(owner.authority)}, proof: {PROOFS[owner.mode]}"
        self.diary.note("lsc", f"{owner.done}; {how}")
        return True

    # who am I, and to whom

    def _identity(self, found: Configuration) -> tuple[str, Identity] | None:
        if found.transport is not Transport.TLS:
            self.diary.note("identity", f"none is shown over {found.transport.value}")
            return None
        identity = self.flash.identity
        if identity is None:
            raise self._failed("identity", "TLS takes a certificate, and this phone has no LSC and no MIC")
        certificate = self.flash.read(identity[1]).certificate
        self.diary.note("identity", f"{identity[0]} {short_name(certificate)}, issued by {issuer_name(certificate)}")
        return identity

    def judge_server(self, chain: list[x509.Certificate]) -> DeviceIdentity:
        """For TLS: the CallManager's certificate is pinned by its role. TrustError."""
        leaf = chain[0]
        subject, issuer = leaf.subject.rfc4514_string(), leaf.issuer.rfc4514_string()
        match = pinned(leaf.public_bytes(Encoding.DER), self.flash.lists(), SIP_SERVERS)
        if match is None:
            self.diary.refuse("register", f"{short_name(leaf)} is not in the list that is held as CallManager")
            raise TrustError(
                f"certificate {subject} is in no list that this phone holds, as CallManager",
                subject=subject,
                issuer=issuer,
                fix="list it with role CCM+TFTP",
            )
        self.diary.note(
            "register", f"TLS with {subject}, listed as {role_name(match[0].role)} in the {name_of(match[1])}"
        )
        return DeviceIdentity("", subject, issuer, "peer", name_of(match[1]), match[0].fingerprint)

    def _failed(self, step: str, text: str) -> BootFailed:
        self.diary.refuse(step, text)
        return BootFailed(text)


def _label(file: File) -> str:
    return f"{file.name} by {file.way}, {len(file.content)} octets"


def _subject(der: bytes) -> str:
    return short_name(x509.load_der_x509_certificate(der))
