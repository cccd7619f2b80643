"""Many sensors in one process, none of them with pixels: what they report follows from a schedule.

``plan`` says which stores and sensors there are; ``demand`` how many people come on a day; ``visitors``
follows each of them from a door past zones and shelves to a door; ``sensors`` is what the sensors make of
it; ``schedule`` numbers it; ``sender`` sends it, first what is past and then each event when its time
comes.

The schedule is a pure function of the plan, so that nothing but the plan is ever kept: a fleet that starts
again asks the backend how far each sensor has come and goes on from there.
"""
