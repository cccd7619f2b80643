"""Writing the audit log."""

from __future__ import annotations

from typing import Any

from django.db import models

from sensorapp.accounts.models import AuditEntry, Organisation, User


def record(
    organisation: Organisation, actor: User | None, verb: str, subject: models.Model, **detail: Any
) -> AuditEntry:
    """Note a state change; call it in the transaction that makes the change.

    ``actor`` is None for what the system does by itself.
    """
    return AuditEntry.objects.create(
        organisation=organisation,
        actor=actor,
        actor_name=str(actor) if actor else "system",
        verb=verb,
        subject_type=subject._meta.label_lower,
        subject_id=subject.pk,
        subject_name=str(subject)[:200],
        detail=detail,
    )
