from typing import ClassVar

from django.db import migrations

# The newest are shown to people, the oldest forgotten, and those that expired told to monitoring; of a sensor that is
# set up wrongly, there may be millions.
INDEXES = """
CREATE INDEX ingest_rejection_by_time ON ingest_rejection (received_at);
CREATE INDEX ingest_rejection_expired ON ingest_rejection (received_at) WHERE path = '';
"""
DROP = "DROP INDEX ingest_rejection_by_time, ingest_rejection_expired"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ingest", "0007_columns_in_models")]
    operations: ClassVar = [migrations.RunSQL(INDEXES, DROP)]
