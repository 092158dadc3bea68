"""Three invented corpora of a travel company's bot, for trying the pipeline without one's own data."""

from tasks.ingest.bundled.corpus import DIFFICULTY, generate
from tasks.ingest.bundled.profiles import PROFILES, Profile

__all__ = ["DIFFICULTY", "PROFILES", "Profile", "generate"]
