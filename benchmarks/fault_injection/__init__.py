"""Faults for a real server process, and what became of them."""
