"""The one kind of error that a user can mend."""


class UserError(Exception):
    """Something the user can correct: the message names the file or param and the fix.

    Stages and commands print it without a traceback and exit with status 1.
    """
