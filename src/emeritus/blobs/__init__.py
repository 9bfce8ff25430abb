"""Put, get and list bytes: a local folder or an object store. Knows nothing of what the bytes mean."""
