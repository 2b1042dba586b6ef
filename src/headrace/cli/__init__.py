"""The `headrace` command. `main` is imported only when it runs, because spawned children import this package."""
