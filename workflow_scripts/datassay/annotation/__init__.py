"""Labels by people: what to ask next, in which form, and what becomes of the answers."""
