"""What models, migrations and tables say of each other."""

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.models import Model

COLUMNS = """
SELECT attname, format_type(atttypid, NULL), attnotnull FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
"""
INGEST = [*apps.get_app_config("ingest").get_models()]


@pytest.mark.django_db
def test_the_models_and_their_migrations_agree() -> None:
    """Fails with the missing operations; ``manage.py makemigrations`` writes them."""
    call_command("makemigrations", "--check", "--dry-run")


@pytest.mark.django_db
@pytest.mark.parametrize("model", INGEST, ids=lambda model: model._meta.db_table)
def test_the_tables_that_django_does_not_manage_are_as_their_models(model: type[Model]) -> None:
    """Neither ``makemigrations`` nor a test database would notice: the tables are plain SQL."""
    described = {
        (field.column, field.db_type(connection), not field.null) for field in model._meta.concrete_fields
    }
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS, [model._meta.db_table])
        assert described == set(cursor.fetchall())
    state = MigrationLoader(connection).project_state().models["ingest", model._meta.model_name or ""]
    assert state.fields.keys() - {"pk"} == {field.name for field in model._meta.concrete_fields}
