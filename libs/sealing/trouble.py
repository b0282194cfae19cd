"""What can be wrong with keys.

KeyTrouble           an OSError: whatever waits for machinery that is away waits for this, too
  KeysUnavailable    the provider of key-encryption keys does not answer
  KeyRefused         it answers no: another place, a version it does not open, no permission
  KeyDestroyed       there was such a key; what it sealed is lost (a LookupError)
  KeyRetired         the key was replaced and opens nothing any more (a LookupError)
"""


class KeyTrouble(OSError):  # noqa: N818
    """A secret can be neither sealed nor opened; `code` says why, and stands in answers."""

    code = "keys_unavailable"
    title = "Keys cannot be opened right now; nothing was changed, or a repeat will tell"


class KeysUnavailable(KeyTrouble):
    """The provider does not answer, or cannot now."""


class KeyRefused(KeyTrouble):
    """The provider answers no, and will until somebody does something about it."""

    code = "key_refused"
    title = "The provider of keys refuses to open a key"


class KeyDestroyed(KeyTrouble, LookupError):  # noqa: N818
    """The key is not there: what it sealed can never be read again."""

    code = "key_destroyed"
    title = "The key of this data was destroyed"


class KeyRetired(KeyTrouble, LookupError):  # noqa: N818
    """All that the key sealed was sealed again under a newer one."""

    code = "key_retired"
    title = "The key of this data was replaced"
