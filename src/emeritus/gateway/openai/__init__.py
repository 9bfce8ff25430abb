"""OpenAI's wire format: requests to calls, answers and errors to its words. Knows no access, no residency."""
