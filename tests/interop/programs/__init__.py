"""Third-party programs as the tests drive them: own configuration, own addresses, logs kept, always ended."""
