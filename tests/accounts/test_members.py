import pytest
from django.core.exceptions import ValidationError
from django.urls import get_resolver

from sensorapp.accounts.members import RESERVED_SLUGS, found_organisation
from sensorapp.accounts.models import Organisation


def test_every_address_of_the_server_itself_is_reserved() -> None:
    firsts = {str(pattern.pattern).split("/")[0] for pattern in get_resolver().url_patterns}
    nested = get_resolver("dashboard.urls").url_patterns
    firsts |= {str(pattern.pattern).split("/")[0] for pattern in nested}
    own = {first for first in firsts if first and "<" not in first}
    assert own | {"static", "live", "ingest", "healthz", "readyz", "metrics"} == RESERVED_SLUGS


@pytest.mark.django_db
@pytest.mark.parametrize("slug", ["api", "two words", ""])
def test_a_slug_that_cannot_be_an_address_is_refused(slug: str) -> None:
    with pytest.raises(ValidationError) as caught:
        found_organisation("Chain", slug)
    assert set(caught.value.message_dict) == {"slug"}
    assert not Organisation.objects.exists()
