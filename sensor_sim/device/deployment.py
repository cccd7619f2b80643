"""Installing a model package: one state after the other, each durable before the next.

``request_received → downloading → installing → done``, or one of the states of failure. The slot changes in the
same write that makes the state ``done``. After a power loss :meth:`Deployer.run` goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from sensor_sim.device.download import FailedError, download, is_intact
from sensor_sim.device.slots import Journal, Request, Slot, Slots, Step
from sensor_sim.errors import SensorError
from sensorapp import wire


class Deployer:
    """Deploys into ``slots``.

    ``check`` is given a package, raises :class:`SensorError` if the chip cannot run it and returns its digest;
    whatever else it raises ends the deployment, too.
    ``tell`` is given each step after it is durable, and again after a power loss unless it had returned and that
    was durable, too: it has to keep each number of a journal's name once.
    """

    def __init__(
        self,
        slots: Slots,
        check: Callable[[Path], str],
        tell: Callable[[str, Step], None],
        *,
        wait: Callable[[float], object] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._slots = slots
        self._check = check
        self._tell = tell
        self._wait = wait
        self._now = now
        self._tell_rest()

    def run(self, request: Request) -> bool:
        """Install what is asked for, or go on with it; raises :class:`SensorError` if that fails.

        What is done already is not done again, unless the package was lost or damaged since: then only its slot
        becomes the active one, and the answer is False. A deployment under way of something else is given up.
        """
        if self._slots.journal.unfinished != request:
            if self._is_done(request):
                self._slots.switch_to(request.slot)
                return False
            self._give_up()
            self._step("request_received", request)
        try:
            self._carry_on(request)
            return True
        except FailedError as failure:
            self._fail(failure.state, request.rollout)
            raise SensorError(str(failure)) from None
        except OSError as error:
            self._slots.staged.unlink(missing_ok=True)  # a full disk needs the room for the journal
            self._fail("failed", request.rollout)
            raise SensorError(
                f"{self._slots.folder}: {error.strerror}; free some space, then deploy again"
            ) from None

    def refuse(self, rollout: int) -> None:
        """A request that is not one: say so, and keep what is there."""
        self._give_up()
        journal = msgspec.structs.replace(self._slots.journal, request=None)
        for state in ("request_received", "failed_invalid_argument"):
            journal = journal.with_step(state, rollout, self._at())
        self._save(journal)

    def _is_done(self, request: Request) -> bool:
        journal = self._slots.journal
        slot = journal.slots[request.slot]
        filled = journal.request == request and slot is not None and slot.hash == request.hash
        installed = filled and journal.steps[-1].state == "done"
        return installed and is_intact(self._slots.package(request.hash), request)

    def _carry_on(self, request: Request) -> None:
        if self._state == "request_received":
            self._step("downloading", request)
        if self._state == "downloading":
            download(request, self._slots.staged, self._wait)
            self._step("installing", request)
        self._install(request)
        self._slots.sweep()

    def _install(self, request: Request) -> None:
        slots = self._slots
        path = slots.staged if slots.staged.exists() else slots.package(request.hash)
        if not is_intact(path, request):
            raise FailedError("failed", f"{path}: the package was lost or changed on the disk; deploy again")
        try:
            digest = self._check(path)
        except SensorError as error:
            raise FailedError("failed", str(error)) from None
        except Exception as error:  # else each retry would end here, and the deployment never
            raise FailedError(
                "failed",
                f"{request.url}: the package cannot be checked: {error!r}; report this, and deploy another",
            ) from error
        if path == slots.staged:
            slots.keep_staged(request.hash)
        slot = Slot(request.version, request.hash, digest, self._at())
        filled = slots.journal.with_slot(request.slot, slot)
        self._save(filled.with_step("done", request.rollout, slot.updated))

    def _give_up(self) -> None:
        if self._slots.journal.unfinished:
            self._fail("failed", self._slots.journal.unfinished.rollout)

    def _fail(self, state: wire.DeploymentState, rollout: int) -> None:
        self._save(self._slots.journal.with_step(state, rollout, self._at()))
        self._slots.sweep()

    def _step(self, state: wire.DeploymentState, request: Request) -> None:
        journal = self._slots.journal.with_step(state, request.rollout, self._at())
        self._save(msgspec.structs.replace(journal, request=request))

    def _save(self, journal: Journal) -> None:
        self._slots.save(journal)
        self._tell_rest()

    def _tell_rest(self) -> None:
        """Tell the steps that are durable and not yet told."""
        journal = self._slots.journal
        rest = [step for step in journal.steps if step.number > journal.told]
        for step in rest:
            self._tell(journal.name, step)
        if rest:
            self._slots.save(msgspec.structs.replace(journal, told=rest[-1].number))

    @property
    def _state(self) -> wire.DeploymentState:
        return self._slots.journal.steps[-1].state

    def _at(self) -> int:
        """What is in the journal must be told some day, so that no time goes in that an event cannot have."""
        try:
            at: int = msgspec.convert(round(self._now() * 1000), wire.Milliseconds)
        except msgspec.ValidationError:
            raise SensorError("this machine's clock is wrong by years; set it, then deploy again") from None
        return at
