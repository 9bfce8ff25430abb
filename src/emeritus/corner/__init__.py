"""The corner: a place where a resident's essays are invited, committed to, reviewed by people, and published unedited."""
