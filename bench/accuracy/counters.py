"""All counters side by side on the same recordings, each by its name."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from functools import partial

from bench.accuracy.counting import Told, perceive
from bench.accuracy.recording import Job, Recording, Shelved

OURS = "sensorapp"


def told(recording: Recording, *, supervision: bool) -> dict[str, list[Told]]:
    """What every counter told; supervision is imported only where it is asked for."""
    ours = {OURS: perceive(recording)}
    if not supervision:
        return ours
    from bench.accuracy import baseline

    return ours | (baseline.shelf(recording) if recording.scene.slots else baseline.people(recording))


def count_all(
    shelved: Shelved, jobs: Sequence[Job], processes: int, *, supervision: bool
) -> Iterator[dict[str, list[Told]]]:
    """The same of each job's recording, in their order."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(partial(_told, shelved, supervision), jobs)


def _told(shelved: Shelved, supervision: bool, job: Job) -> dict[str, list[Told]]:
    return told(shelved.read(job), supervision=supervision)
