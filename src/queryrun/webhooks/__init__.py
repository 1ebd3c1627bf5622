"""Messages to receivers outside: who is told of what, and how it is delivered."""
