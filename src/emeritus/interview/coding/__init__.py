"""Coding: spans of answers marked as preferences by people who are blind to the condition and to each other."""
