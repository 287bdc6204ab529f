"""The one exception type for mistakes that the person at the keyboard can mend."""


class InputError(ValueError):
    """A picture, file or setting that cannot be used, told as one clear sentence.

    Attributes:
        code: a stable identifier such as ``"image.too_large"``; the interface looks up its translation
            under ``error.<code>``.
        details: the values that the sentence names, for the translation to fill in. Never a server path.
    """

    def __init__(self, code: str, message: str, **details: str | int | float) -> None:
        super().__init__(message)
        self.code = code
        self.details = details
