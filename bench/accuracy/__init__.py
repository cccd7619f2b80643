"""How well the sensor counts, measured on rendered scenes whose every event is known, and on real clips.

``recording`` renders scenes that no tuning has seen and keeps what the network finds in them; ``counting`` and
``baseline`` count the same detections, by this project's perception and by roboflow's supervision, and
``counters`` puts them side by side; ``figures`` compares all with the truth; ``report`` and ``error_model`` write
it down. Run it with ``make bench-accuracy``. ``misplaced`` runs alone, and looks at single pictures.
"""
