"""What programs read: REST as JSON and CSV."""
