"""What buckets tell: one module per question. Nothing here writes a bucket."""
