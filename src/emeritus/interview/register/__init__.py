"""The preference register: who speaks for a resident, read-back, the rules of deciding, telling, what is owed."""
