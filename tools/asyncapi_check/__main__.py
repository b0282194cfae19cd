"""python -m tools.asyncapi_check: the parser is installed here once, from its lock file."""

import sys
from pathlib import Path

from tools.npm import NoNode, install, run_node

HERE = Path(__file__).parent
DOCUMENTS = HERE.parents[1] / "contracts" / "asyncapi"


def main(arguments: list[str]) -> int:
    """Check the given documents, or all; return 1 where one has an error."""
    documents = [Path(name) for name in arguments] or sorted(DOCUMENTS.glob("*.json"))
    try:
        install(HERE)
        return run_node(HERE, "check.mjs", *(str(document.resolve()) for document in documents))
    except NoNode as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
