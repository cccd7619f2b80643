"""The start of the house: dependencies, embedded services, and the demo that runs everything.

Nothing here is imported by a production server except `sensorapp.stack.paths`, which names the
default addresses. `bootstrap.py` runs before anything is installed, so it and `paths.py` use the
standard library alone.
"""
