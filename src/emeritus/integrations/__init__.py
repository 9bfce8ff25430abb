"""What other programs load: the door of the room. It is empty as yet; a vLLM loader and an Inspect task are to stand here.

May import anything below the faces; nothing of ours imports it.
"""
