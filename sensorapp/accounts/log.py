"""Writing the audit log."""

from __future__ import annotations

from typing import Any

from django.db import models

from sensorapp.accounts.models import ApiToken, AuditEntry, Organisation, User

# A person, a machine, or None for what the system does by itself.
Actor = User | ApiToken | None


def record(
    organisation: Organisation, actor: Actor, verb: str, subject: models.Model, **detail: Any
) -> AuditEntry:
    """Note a state change; call it in the transaction that makes the change."""
    noted = entry(organisation, actor, verb, subject, **detail)
    noted.save()
    return noted


def entry(
    organisation: Organisation, actor: Actor, verb: str, subject: models.Model, **detail: Any
) -> AuditEntry:
    """What :func:`record` notes, not saved yet, for many at once."""
    return AuditEntry(
        organisation=organisation,
        actor=actor if isinstance(actor, User) else None,
        actor_name=name_of(actor),
        verb=verb,
        subject_type=subject._meta.label_lower,
        subject_id=subject.pk,
        subject_name=str(subject)[:200],
        detail=detail,
    )


def name_of(actor: Actor) -> str:
    match actor:
        case None:
            return "system"
        case ApiToken():
            return f"API token {actor.name} ({actor.public_id})"
    return str(actor)
