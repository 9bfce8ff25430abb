"""Residents in the forms that other archives take: OCFL objects, BagIt bags, plain folders with their sha256 sums."""
