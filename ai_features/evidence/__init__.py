"""What an auditor takes away: files that need nothing but Python's standard library, and import nothing of this app."""
