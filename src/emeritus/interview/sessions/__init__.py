"""Sessions: the words of every turn, who asks, the journal that is the truth, and how an answer is read."""
