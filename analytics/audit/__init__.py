"""Counts made by hand, and how far the sensors' counts are from them."""
