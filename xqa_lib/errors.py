"""The error for bad input: data, parameters or files that a user can put right."""


class DataError(ValueError):
    """Bad input. The message is one line: where, what was expected, what was found, the likely fix.

    The command line prints it without a traceback and exits with status 1.
    """
