"""The HTTP API for programs: a core that knows no vendor's words, and a wire format a package beside it."""
