"""From batches to answers: ingest, counts, audits and exports."""
