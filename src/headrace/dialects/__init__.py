"""The public APIs headrace speaks: wire shapes, translation, errors, routes. No rules, no SQL.

A dialect never imports another one; what they share is `kit`.
"""
