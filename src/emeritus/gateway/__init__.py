"""The HTTP API for programs, in OpenAI's wire format. Knows the web framework and the wire; holds no feature's logic."""
