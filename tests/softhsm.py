"""SoftHSM: a token in files with the module interface of a hardware security module, for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

LABEL, PIN = "renhe", "1234"
LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so")


@contextmanager
def softhsm(folder: Path, keys: dict[bytes, str]) -> Iterator[Path]:
    """The module's path; a token in ``folder`` has an EC key for each CKA_ID, on the curve named.

    Without SoftHSM a test is skipped, but never in CI.
    """
    tool = shutil.which("softhsm2-util") or _missing("softhsm2-util")
    library = next(filter(os.path.exists, LIBRARIES), None) or _missing("libsofthsm2.so")
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder}\nobjectstore.backend = file\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(settings))
        making = [tool, "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "5678"]
        subprocess.run(making, check=True, capture_output=True, timeout=30)
        try:
            with pkcs11.lib(library).get_token(token_label=LABEL).open(rw=True, user_pin=PIN) as session:
                for key_id, curve in keys.items():
                    _make_key(session, key_id, curve)
            yield Path(library)
        finally:
            pkcs11.unload(library)


def public_key(library: Path, key_id: bytes) -> ec.EllipticCurvePublicKey:
    """The public half of a key in the token."""
    session = pkcs11.lib(str(library)).get_token(token_label=LABEL).open()
    try:
        found = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, id=key_id)
        assert isinstance(found, pkcs11.PublicKey)
        key = load_der_public_key(encode_ec_public_key(found))
    finally:
        session.close()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def _make_key(session: Any, key_id: bytes, curve: str) -> None:
    attributes = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
    parameters = session.create_domain_parameters(pkcs11.KeyType.EC, attributes, local=True)
    parameters.generate_keypair(id=key_id, store=True)


def _missing(what: str) -> NoReturn:
    reason = f"{what} is missing; Debian has it in the package softhsm2"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
