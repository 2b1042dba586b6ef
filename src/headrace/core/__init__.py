"""The domain: one module per noun, rules and use cases. No HTTP, no SQL, no framework."""
