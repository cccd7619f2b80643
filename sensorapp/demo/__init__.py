"""The demo chain: three stores, sixty sensors, and people who may look at them."""
