"""Organisations, the people in them, what each may see, and the record of what each did."""
