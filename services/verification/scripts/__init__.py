"""What runs inside Redis: each script takes many subjects, one key each, and answers for each."""

from hashlib import sha1
from importlib.resources import files


class Script:
    """A script by the digest under which Redis keeps it; of a lower `rank` it goes first."""

    def __init__(self, name: str, *, rank: int) -> None:
        self.text = files(__package__).joinpath(f"{name}.lua").read_text()
        # Not for secrecy: it is how Redis names scripts.
        self.digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        self.rank = rank


REFUND = Script("refund", rank=0)
FAILED = Script("failed", rank=1)
CHANGED = Script("changed", rank=2)
UNLOCK = Script("unlock", rank=3)
DROP = Script("drop", rank=4)
FILL = Script("fill", rank=5)
RESERVE = Script("reserve", rank=6)
COARSE = Script("coarse", rank=7)
ALL = (COARSE, REFUND, FAILED, CHANGED, UNLOCK, DROP, FILL, RESERVE)
