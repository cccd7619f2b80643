"""The sensor twin: pixels in, events out, no picture ever.

A frame goes from ``pixels`` through ``isp`` and ``network`` and ends there; what comes out are detections
(numbers), from which ``perception`` makes the events of ``sensorapp.wire``. Nothing here imports Django.
"""

import os

# ONNX Runtime's official builds keep a log of their use in the user's home and send it to their maker, unless
# this is set before they are loaded. A sensor tells nobody but its server.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
