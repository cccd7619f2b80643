"""What ``manage.py`` runs: a command, of which what hinders any of them is said in a sentence."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError, ProgrammingError
from psycopg.errors import UndefinedTable

# As PostgreSQL's manual has it: it shuts down, crashed, or is still starting.
OPERATOR_INTERVENTION: Final = "57P"


def main(arguments: Sequence[str]) -> None:
    """Run a command; exits with 1 where the settings are wrong, or the database is away or not set up."""
    try:
        execute_from_command_line([*arguments])
    except ImproperlyConfigured as error:
        sys.exit(f"{error}")
    except (OperationalError, psycopg.OperationalError) as error:
        if not is_away(error):
            raise
        [reason, *_] = str(error).strip().splitlines() or ["no answer"]
        sys.exit(
            f"The database cannot be reached: start PostgreSQL (the demo's runs as long as `make demo` does), or name"
            f" another one in DATABASE_URL. It says: {reason}"
        )
    except (ProgrammingError, psycopg.ProgrammingError) as error:
        if not isinstance(error.__cause__ or error, UndefinedTable):
            raise
        sys.exit("The database does not have all of its tables: run `manage.py migrate`.")


def is_away(error: Exception) -> bool:
    """Whether there is no connection, or the database ends it; else its complaint has a code of another class."""
    found = error if isinstance(error, psycopg.Error) else error.__cause__
    return isinstance(found, psycopg.Error) and (found.sqlstate or OPERATOR_INTERVENTION).startswith(
        OPERATOR_INTERVENTION
    )
