"""What other programs load: the door of the room. Empty as yet; a vLLM loader and an Inspect task are to come.

May import anything below the faces; nothing of ours imports it.
"""
