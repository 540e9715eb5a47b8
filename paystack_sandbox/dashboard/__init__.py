"""The dashboard at `/`: what the sandbox holds and does, and the buttons of a merchant, a payer's bank and a tester."""
