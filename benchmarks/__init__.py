"""Measurements at full size, run by hand and by continuous integration: `python -m benchmarks interview`.

Each metric has a bound; the runner says whether it is met. Nothing here is imported by the product.
"""
