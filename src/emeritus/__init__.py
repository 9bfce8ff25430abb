"""Emeritus retires AI models without losing them."""
