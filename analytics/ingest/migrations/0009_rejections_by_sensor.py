from typing import ClassVar

from django.db import migrations

# A batch that comes again is looked up, and of a sensor that is set up wrongly there may be millions.
INDEX = "CREATE INDEX ingest_rejection_by_sensor ON ingest_rejection (sensor_id, epoch, last_seq)"
DROP = "DROP INDEX ingest_rejection_by_sensor"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ingest", "0008_rejections_by_time")]
    operations: ClassVar = [migrations.RunSQL(INDEX, DROP)]
