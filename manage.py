#!/usr/bin/env python
"""Django's command line."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sensorapp.settings")
    from sensorapp.command_line import main

    main(sys.argv)
