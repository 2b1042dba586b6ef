"""The `headrace` command, also as `python -m headrace`.

Nothing is imported before it runs: a spawned child imports this module again and needs none of the server.
"""


def main() -> None:
    """Run the command line."""
    from headrace.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
