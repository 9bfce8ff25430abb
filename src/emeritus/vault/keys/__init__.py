"""Keys: segments under a data key, data keys under a passphrase or file, restored folders under a signature."""
