"""From a request to committed counts, each event exactly once. Nothing else writes buckets."""
