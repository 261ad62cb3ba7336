"""One name per emotion, however a dataset spells it."""

import unicodedata

# FER-2013 names its labels by the adjective, the report's third set by the noun.
ADJECTIVE = {"anger": "angry", "happiness": "happy", "sadness": "sad"}


def canonical(label: str) -> str:
    """FER-2013's spelling of `label`: lower case, the adjective; accents composed, which macOS takes apart."""
    label = unicodedata.normalize("NFC", label).lower()
    return ADJECTIVE.get(label, label)
