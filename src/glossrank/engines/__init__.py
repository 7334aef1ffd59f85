"""Engines turn token batches into logits; they never see a text."""
