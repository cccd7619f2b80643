"""The Django project: settings, addresses, accounts and fleet."""

__version__ = "0.1.0"
