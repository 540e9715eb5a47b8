"""The hosted checkout: the pages a payer sees at `authorization_url` (facts 9)."""
