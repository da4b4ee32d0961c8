"""What a failure's mechanism is, from experiments that vary one thing each. Pure."""
