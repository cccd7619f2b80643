"""The sensor twin: pixels in, events out, no picture ever.

A frame goes from ``pixels`` through ``isp`` and ``network`` and ends there; what comes out are detections
(numbers), from which ``perception`` makes the events of ``sensorapp.wire``. Nothing here imports Django.
"""
