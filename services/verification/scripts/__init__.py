"""What runs inside Redis; each script touches one key, so a cluster can run it."""

from hashlib import sha1
from importlib.resources import files


class Script:
    """A script by the digest under which Redis keeps it."""

    def __init__(self, name: str) -> None:
        self.text = files(__package__).joinpath(f"{name}.lua").read_text()
        # Not for secrecy: it is how Redis names scripts.
        self.digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


RESERVE = Script("reserve")
FILL = Script("fill")
REFUND = Script("refund")
FAILED = Script("failed")
CHANGED = Script("changed")
