"""The console: pages for the people who work in a home, behind a sign-in. Every act carries the person who made it."""
