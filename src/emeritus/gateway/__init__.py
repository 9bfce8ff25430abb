"""The HTTP API for programs, in OpenAI's wire format. Knows the web framework and holds no feature's logic."""
