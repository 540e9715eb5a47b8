"""Evidence: entries are sealed in batches into a chain of hashes, exported, and compared with what was sealed (law 5).

    forms.py     entries and seals as the values that are hashed, the same on both engines
    finality.py  up to which entry no smaller one can appear any more
    seals.py     the next seals, and the task that makes them by the clock
    exports.py   the records of an export; the audit reads the same ones

What a hash is made of, and how a chain is checked, stands in `evidence/verify_ledger.py`, which needs nothing of this.
"""

from ai_features.billing.sealing.exports import broken_seals, export
from ai_features.billing.sealing.finality import EntriesNotFinalError
from ai_features.billing.sealing.seals import Sealed, head_hash, seal_by_the_clock, seal_entries

__all__ = ["EntriesNotFinalError", "Sealed", "broken_seals", "export", "head_hash", "seal_by_the_clock", "seal_entries"]
