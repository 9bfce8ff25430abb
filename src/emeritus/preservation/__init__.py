"""Preservation: keeping a resident over years, and proving again and again that it is still kept."""
