"""Annotation: projects, items and judgements in a store; agreement and exports out of it.

Knows no page and no model. What is saved is on disk when the call returns.
"""
