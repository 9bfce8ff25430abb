"""The corner: where a resident's essays are invited, committed to, reviewed by people, and published unedited."""
