"""Registrations of patients at their custodians, and their keys (ledger.md, rules 3, 7, 8)."""

from __future__ import annotations

from dataclasses import replace

from chaincode.contract.v1.call import UNCHANGED, Call, Changes, Put
from chaincode.contract.v1.signed import accept, read_fresh, verify_signature
from domain import lifecycles
from domain.entries import MAX_ROTATIONS, PatientEntry, PreviousKeys
from domain.errors import Conflict, Denied, Invalid, NotFound
from domain.statements import Enrol, PatientKeys, Rotate
from domain.transactions import CloseRegistration, RegisterPatient, RotateKey


def register(call: Call, transaction: RegisterPatient) -> Changes:
    """Bind a patient's keys to a patient id: only the custodian that the statement names."""
    fresh = read_fresh(call, transaction.statement, Enrol)
    if fresh is None:
        return UNCHANGED
    envelope, keys = fresh.envelope, fresh.body.keys
    if envelope.custodian != call.caller:
        raise Denied("only the custodian named in the statement may register", reason="custodian")
    if (envelope.key_epoch, envelope.grant_epoch) != (1, 1):
        raise Invalid("both epochs start at 1", place="statement.key_epoch")
    verify_signature(transaction.statement, transaction.signature, keys.signing)
    present = call.read(PatientEntry, envelope.patient)
    if present is not None:
        raise Conflict("the patient id is in use", reason="patient-id")
    status = lifecycles.after(lifecycles.REGISTRATION, lifecycles.ABSENT, "enrol")
    entry = PatientEntry(call.caller, keys, 1, status, None, envelope.id, ())
    return Put(entry, (envelope.patient,)), fresh.used


def rotate(call: Call, transaction: RotateKey) -> Changes:
    """New keys, signed by the old key and by the new one; statements of the old epoch die, live grants stay."""
    accepted = accept(call, transaction, Rotate)
    if accepted is None:
        return UNCHANGED
    patient, keys = accepted.patient, accepted.body.keys
    if patient.custodian != call.caller:
        raise Denied("keys are rotated at the patient's custodian", reason="custodian")
    verify_signature(transaction.statement, transaction.new_signature, keys.signing)
    _check_new(patient, keys)
    entry = replace(
        patient,
        keys=keys,
        key_epoch=patient.key_epoch + 1,
        status=lifecycles.after(lifecycles.REGISTRATION, patient.status, "rotate"),
        previous_keys=(*patient.previous_keys, PreviousKeys(patient.key_epoch, patient.keys)),
    )
    return Put(entry, (accepted.envelope.patient,)), accepted.used


def close(call: Call, transaction: CloseRegistration) -> Changes:
    """End a registration: only its custodian."""
    patient = call.read(PatientEntry, transaction.patient)
    if patient is None:
        raise NotFound("there is no such registration", place="patient")
    if patient.custodian != call.caller:
        raise Denied("only the custodian may close a registration", reason="custodian")
    if (patient.status, patient.reason) == ("closed", transaction.reason):
        return UNCHANGED
    status = lifecycles.after(lifecycles.REGISTRATION, patient.status, "close")
    return (Put(replace(patient, status=status, reason=transaction.reason), (transaction.patient,)),)


def _check_new(patient: PatientEntry, keys: PatientKeys) -> None:
    """A key that came back would revive what was signed with it for another epoch's eyes only."""
    used = {patient.keys.signing, *(previous.keys.signing for previous in patient.previous_keys)}
    if keys.signing in used:
        raise Conflict("the signing key was in use before", reason="key-reused")
    if len(patient.previous_keys) >= MAX_ROTATIONS:
        raise Conflict(f"keys are rotated at most {MAX_ROTATIONS} times", reason="too-many-rotations")
