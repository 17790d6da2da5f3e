"""What was asked and what the card makes of it: usage, and the price card at its timestamp -> US dollars."""
