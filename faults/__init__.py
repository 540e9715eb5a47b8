"""`make faults`: buyers on several server processes while everything around them breaks, then the books compared.

Nothing here imports `ai_features`: the system is started as an operator starts it, spoken to over HTTP, and its
tables are read with plain SQL.
"""
