"""A project whose users have UUIDs for keys, as many have. `checks.py` runs in it, in a process of its own."""
