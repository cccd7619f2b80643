import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_the_models_and_their_migrations_agree() -> None:
    """Fails with the missing operations; ``manage.py makemigrations`` writes them."""
    call_command("makemigrations", "--check", "--dry-run")
