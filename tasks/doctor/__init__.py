"""The data doctor: what the owner of a corpus should do next, what it will bring, and whether it did."""
