"""Workers on many machines, which share one collection and its ledger."""
