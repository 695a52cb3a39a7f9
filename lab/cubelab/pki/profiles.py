"""Certificate profiles (`certs/*.toml`): what a certificate looks like, without whom it is for."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cubelab import data


@dataclass(frozen=True)
class Key:
    kind: str = "rsa"  # or "ec"
    bits: int = 2048
    curve: str = "secp256r1"


@dataclass(frozen=True)
class BasicConstraints:
    ca: bool = False
    path_length: int | None = None
    critical: bool = True


@dataclass(frozen=True)
class Profile:
    """One table of the profile files. Texts may hold {placeholders}, filled in at issue."""

    name: str
    file: str = ""  # the file it stands in, without its suffix
    about: str = ""
    subject: Mapping[str, str | list[str]] = field(default_factory=dict)  # attribute to its value or values
    issuer: str = "self"
    key: Key = Key()
    days: tuple[int, int] = (-1, 365)  # of validity, from the moment of issue
    hash: str = "sha256"
    basic_constraints: BasicConstraints | None = None
    key_usage: tuple[str, ...] = ()
    extended_key_usage: tuple[str, ...] = ()
    alternative_names: tuple[str, ...] = ()  # "dns:...", "ip:...", "uri:..."
    subject_key_identifier: bool = False
    authority_key_identifier: bool = False


def load_profiles(folder: Path | None = None) -> dict[str, Profile]:
    """All profiles by name. ValueError names the profile and the word that is wrong."""
    tables: dict[str, dict[str, Any]] = {}
    for path in sorted((folder or data.profiles()).glob("*.toml")):
        for name, table in tomllib.loads(path.read_text("utf-8")).items():
            tables[name] = {**table, "file": path.stem}
    profiles: dict[str, Profile] = {}
    for name, table in tables.items():
        base = table.get("like")
        if base is not None and base not in tables:
            raise ValueError(f"profile {name} is like {base}, which does not exist")
        profile = _profile(name, tables[base], Profile(base)) if base else Profile(name)
        profiles[name] = replace(_profile(name, table, profile), name=name)
    for profile in profiles.values():
        if profile.issuer not in ("self", "phone") and profile.issuer not in profiles:
            raise ValueError(f"profile {profile.name} is issued by {profile.issuer}, which does not exist")
    return profiles


def _profile(name: str, table: Mapping[str, Any], base: Profile) -> Profile:
    changes: dict[str, Any] = {}
    for word, value in table.items():
        match word:
            case "like":
                continue
            case "key":
                changes[word] = Key(**value)
            case "basic_constraints":
                changes[word] = BasicConstraints(**value)
            case "days" | "key_usage" | "extended_key_usage" | "alternative_names":
                changes[word] = tuple(value)
            case _:
                changes[word] = value
    try:
        return replace(base, **changes)
    except TypeError as error:
        raise ValueError(f"profile {name}: {error}") from None
