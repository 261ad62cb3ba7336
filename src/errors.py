"""What a user reads when something is wrong: one kind of error, and text from outside made safe to print."""


class UserError(Exception):
    """Something the user can correct: the message names the file or param and the fix.

    Stages and commands print it without a traceback and exit with status 1.
    """


def printable(text: str, keep: str = "") -> str:
    r"""`text` with everything escaped that a terminal would obey or cannot show: "a\nb" becomes r"a\nb".

    Bytes of a file name that are no UTF-8 become `\xff`, as in `ls`. Characters in `keep` stay as they are.
    """
    return "".join(one if one.isprintable() or one in keep else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python spells a byte that is no UTF-8 (PEP 383)
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
