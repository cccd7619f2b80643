"""What a device does with its events: keeps them on disk until the backend has them."""
