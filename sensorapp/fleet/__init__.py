"""Stores, sensors and what each of them looks at."""
