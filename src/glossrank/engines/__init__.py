"""Engines turn token batches into logits; they never see a text.

``engine.py`` says what every engine offers, ``choose.py`` which one runs a model folder.
"""
