"""The hot path: sockets are read, and reads that fit a stencil are taken. Compiled where that was possible.

`plain` is always there and says what is meant; `compiled` does the same at half the cost. It is built when the package
is installed, where a C compiler and Python's headers are. TRUEYIELD_HOT_PATH=plain does without it.
"""

import os
from typing import TYPE_CHECKING, Literal

Form = Literal["compiled", "plain"]

#: How this process can be told to do without the compiled form.
VARIABLE = "TRUEYIELD_HOT_PATH"

if TYPE_CHECKING:
    from harness.load.hot.plain import Left, Reads, Taken

    FORM: Form
else:
    try:
        if os.environ.get(VARIABLE) == "plain":
            raise ImportError
        from harness.load.hot.compiled import Reads, Taken

        FORM = "compiled"
    except ImportError:
        from harness.load.hot.plain import Reads, Taken

        FORM = "plain"
    from harness.load.hot.plain import Left

__all__ = ["FORM", "VARIABLE", "Form", "Left", "Reads", "Taken"]
