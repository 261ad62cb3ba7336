"""What every stage stands on: how files are written, and what passes from one stage to the next.

Importing it pins the environment, before any library reads it.
"""

from src.core import pinning

pinning.pin()
