"""R/C and the factors between two of them: the one function, the waterfall, the seller's and the buyer's bridge."""
