"""From walkers to what the stage draws."""

from __future__ import annotations

from collections.abc import Sequence

from sensor_sim.pixels.rendered.crowd import STEP, State, Walker, ahead, between
from sensor_sim.pixels.rendered.figures import Pose, figure
from sensor_sim.pixels.rendered.stage import Actor


def actors(walkers: Sequence[Walker], share: float, shutter: float = 0.0) -> list[Actor]:
    """People and what they push, ``share`` of a step after the step before; ``shutter`` in seconds."""
    cast = []
    for walker in walkers:
        state = between(walker.before, walker.state, share)
        blur = _moved(walker, shutter)
        pose = Pose(state.phase, state.pace, walker.carry, walker.lean, walker.head)
        body = figure(walker.look, pose).placed(state.x, state.y, state.heading)
        cast.append(Actor(walker.number, "person", body, state.x, state.y, blur))
        if walker.cart:
            cast.append(_cart(walker, state, blur))
    return cast


def _cart(walker: Walker, state: State, blur: tuple[float, float]) -> Actor:
    assert walker.cart
    x, y = ahead(state, walker.cart.reach)
    placed = walker.cart.solids.placed(x, y, state.heading)
    return Actor(walker.number + 1, walker.cart.label, placed, x, y, blur)


def _moved(walker: Walker, shutter: float) -> tuple[float, float]:
    speed = shutter / STEP
    return (walker.state.x - walker.before.x) * speed, (walker.state.y - walker.before.y) * speed
