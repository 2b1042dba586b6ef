"""Run the benchmarks named, or all: each prints one JSON object with its figures, their floor and their target.

    python -m benchmarks [sync] [fetch] [tiny] [requests] [import] [export] [scale] [learning] [ordering]
    python -m benchmarks label_studio [--tasks N] [--ours-only] ...
    python -m benchmarks conversations [--people N] [--prompts N] [--sizes N,N] ...

Times are processor time of the server, which other work on the machine disturbs least; where a target is a ratio,
both sides are measured in turns in the same run.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile

from benchmarks import (
    conversations,
    exports,
    fetch,
    imports,
    label_studio,
    learning,
    ordering,
    requests,
    scale,
    sync,
    tiny,
)

Report = Mapping[str, object]
BENCHMARKS: Mapping[str, Callable[[], Report]] = {
    "sync": sync.run,
    "fetch": fetch.run,
    "tiny": tiny.run,
    "requests": requests.run,
    "import": imports.run,
    "export": exports.run,
    "scale": scale.run,
}
COMMANDS: Mapping[str, Callable[[Sequence[str]], None]] = {
    "label_studio": label_studio.main,
    "learning": learning.main,
    "ordering": ordering.main,
    "conversations": conversations.main,
}


def main(arguments: Sequence[str]) -> None:
    """Run them one after another; an unknown name ends the command before anything runs."""
    names = list(takewhile(lambda argument: not argument.startswith("-"), arguments))
    options = arguments[len(names) :]
    known = (*BENCHMARKS, *COMMANDS)
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(known)}")
    if options and names not in (["label_studio"], ["conversations"]):
        sys.exit("only label_studio and conversations take options")
    for name in names or known:
        if name in COMMANDS:
            COMMANDS[name](options)
        else:
            print(json.dumps({"benchmark": name, **BENCHMARKS[name]()}, indent=2), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
