"""The configuration file: :mod:`.load` reads it, :mod:`.schema` says what it may hold."""
